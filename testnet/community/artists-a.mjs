// The first half of the artists: who they are, how they sound and look, what they have published.
//
// tempo in beats a minute, root as a MIDI note, progression as scale degrees (one a bar, repeated), palette as
// dark, middle, light, accent. `next` are titles of pieces they have not published yet.

export default [
  {
    handle: 'noorhalim.test', name: 'Noor Halim', style: 'ambient', motif: 'horizon',
    palette: ['#1b1f3a', '#7a5c86', '#f6d9b8', '#e98a6d'],
    description: 'slow music from a fourth-floor kitchen in izmir. tape loops, bells, the sea when the window is open.',
    bio: 'I record before anyone else is awake. Everything here was made between 4 and 6 a.m.',
    tags: ['ambient', 'tape', 'sleep'], album: 'Ferry Timetable',
    tracks: [
      { title: 'First Boat, Fog', tempo: 66, root: 57, scale: 'lydian', progression: [0, 4, 1, 4], album: true, description: 'The 5:40 to Karşıyaka, with nobody on it but the crew and me.' },
      { title: 'Salt on the Railing', tempo: 60, root: 53, scale: 'major', progression: [0, 3, 5, 4], album: true },
      { title: 'Üçkuyular, Last Stop', tempo: 63, root: 55, scale: 'dorian', progression: [0, 6, 3, 4], album: true, tags: ['ambient', 'field recording'] },
      { title: 'a room with the lights off', tempo: 58, root: 50, scale: 'lydian', progression: [0, 1, 4, 1], description: 'For M., who cannot sleep either.' },
    ],
    next: ['Harbour Light, Twice', 'what the gulls said', 'Kettle at 4:52'],
  },
  {
    handle: 'palomavertigo.test', name: 'Paloma Vértigo', style: 'house', motif: 'tiles',
    palette: ['#16202c', '#2f6f73', '#f7ecd7', '#ef6f4a'],
    description: 'house music for people who dance in socks. valència. residency thursdays at la persiana.',
    bio: 'Warm chords, long mixes, no hurry. Bookings: write me here.',
    tags: ['house', 'deep house', 'dancefloor'], album: 'Persiana',
    tracks: [
      { title: 'Persiana', tempo: 122, root: 56, scale: 'dorian', progression: [0, 3, 0, 5], album: true, description: 'Named after the club, which is named after its only window.' },
      { title: 'Azulejo', tempo: 124, root: 53, scale: 'minor', progression: [0, 5, 3, 4], album: true },
      { title: 'Quiet Neighbours', tempo: 120, root: 58, scale: 'dorian', progression: [0, 6, 5, 6], album: true, features: ['nullisland.test'] },
      { title: 'Mañana Pronto', tempo: 123, root: 55, scale: 'mixolydian', progression: [0, 6, 3, 0], tags: ['house', 'sunrise'] },
    ],
    next: ['Tercer Piso', 'Socks Only', 'La Última y Nos Vamos'],
  },
  {
    handle: 'kettleandmoss.test', name: 'Kettle & Moss', style: 'lofi', motif: 'rain',
    palette: ['#1d1a2b', '#574b7a', '#ffe6bf', '#f0a35e'],
    description: 'two friends, one sampler, a lot of tea. beats to do the dishes to.',
    bio: 'Imke plays the keys, Joost drops things on purpose. New beat most Sundays.',
    tags: ['lo-fi', 'beats', 'study'], album: 'Dishes',
    tracks: [
      { title: 'soap bubbles', tempo: 78, root: 56, scale: 'major', progression: [3, 2, 1, 4], swing: 0.26, album: true },
      { title: 'the good mug', tempo: 74, root: 53, scale: 'dorian', progression: [1, 4, 0, 5], swing: 0.3, album: true, description: 'You know the one. Nobody else is allowed to use it.' },
      { title: 'window seat, tram 9', tempo: 82, root: 58, scale: 'minor', progression: [0, 3, 5, 4], swing: 0.24, album: true },
      { title: 'leftovers', tempo: 76, root: 55, scale: 'major', progression: [1, 4, 2, 5], swing: 0.28, features: ['clarabonfim.test'] },
    ],
    next: ['drying rack', 'rain, then bread', 'sunday is a long word'],
  },
  {
    handle: 'neonalmanac.test', name: 'Neon Almanac', style: 'synthwave', motif: 'neon',
    palette: ['#120a2a', '#53257a', '#ffe9c9', '#ff4f87'],
    description: 'weather reports from a city that was never built. hardware only.',
    bio: 'One polysynth, one drum machine, one four-track. Made in Łódź.',
    tags: ['synthwave', 'electronic', 'retro'], album: 'Ring Road 1986',
    tracks: [
      { title: 'Ring Road, 2 a.m.', tempo: 104, root: 57, scale: 'minor', progression: [0, 5, 2, 6], album: true },
      { title: 'Toll Booth Romance', tempo: 96, root: 54, scale: 'minor', progression: [5, 6, 0, 2], album: true, description: 'She always had the exact change.' },
      { title: 'Chrome Forecast', tempo: 112, root: 59, scale: 'dorian', progression: [0, 3, 6, 4], album: true },
    ],
    next: ['Service Area', 'Low Pressure over Pabianice', 'Hazard Lights'],
  },
  {
    handle: 'fieldrecorder.test', name: 'Field Recorder Jr.', style: 'jungle', motif: 'shards',
    palette: ['#10202b', '#1f5a62', '#f3f7ea', '#ffb02e'],
    description: 'drum & bass with mud on its boots. leeds. i carry a microphone everywhere, sorry.',
    bio: 'Breaks cut by hand. The birds are real.',
    tags: ['drum and bass', 'jungle', 'breaks'], album: 'Ordnance Survey',
    tracks: [
      { title: 'Grid Reference', tempo: 168, root: 57, scale: 'minor', progression: [0, 0, 5, 6], album: true },
      { title: 'Footpath Closed', tempo: 172, root: 53, scale: 'dorian', progression: [0, 3, 0, 6], album: true, description: 'It was not closed. It was just very wet.' },
      { title: 'Skylark VIP', tempo: 170, root: 60, scale: 'minor', progression: [5, 6, 0, 0], album: true, tags: ['drum and bass', 'liquid'] },
      { title: 'Stile', tempo: 166, root: 55, scale: 'minor', progression: [0, 2, 5, 4] },
    ],
    next: ['Cattle Grid', 'Trig Point', 'Bridleway Dub'],
  },
  {
    handle: 'pikopiko.test', name: 'ピコピコ団地', style: 'chip', motif: 'pixels',
    palette: ['#14213d', '#3d5a98', '#f6f5e9', '#ff8552'],
    description: '団地の一室から8ビット。 tiny songs from apartment 402. four channels are plenty.',
    bio: '四つの音だけで作っています。 I make everything on a 1989 handheld and a borrowed cable.',
    tags: ['chiptune', '8-bit', 'game'], album: '402号室',
    tracks: [
      { title: 'エレベーター', tempo: 140, root: 57, scale: 'major', progression: [0, 4, 5, 3], album: true, description: '1階から14階まで。' },
      { title: '自転車置き場', tempo: 152, root: 60, scale: 'mixolydian', progression: [0, 6, 3, 0], album: true },
      { title: 'Boss of the Laundry Room', tempo: 160, root: 52, scale: 'minor', progression: [0, 5, 6, 4], album: true },
      { title: 'おやすみ402', tempo: 108, root: 55, scale: 'major', progression: [3, 4, 2, 5] },
    ],
    next: ['ベランダ', 'Cicada Level', '屋上の給水塔'],
  },
  {
    handle: 'wrenokafor.test', name: 'Wren Okafor', style: 'folk', motif: 'leaves',
    palette: ['#26413c', '#5f8a6a', '#f4f1e4', '#d98a4b'],
    description: 'songs without words for a small guitar. halifax, nova scotia. builds boats, plays in the shed.',
    bio: 'Guitar, kitchen floor, sometimes a second guitar. Recorded in one go, mistakes included.',
    tags: ['folk', 'guitar', 'instrumental'], album: 'Shed Songs',
    tracks: [
      { title: 'Cedar Strip', tempo: 96, root: 57, scale: 'major', progression: [0, 3, 5, 4], album: true, description: 'For the boat that leaked.' },
      { title: 'Low Tide Errand', tempo: 88, root: 55, scale: 'mixolydian', progression: [0, 6, 3, 0], album: true },
      { title: "My Sister's Bicycle", tempo: 104, root: 60, scale: 'major', progression: [0, 4, 5, 3], album: true },
      { title: 'Varnish', tempo: 80, root: 52, scale: 'dorian', progression: [0, 3, 6, 0], tags: ['folk', 'slow'] },
    ],
    next: ['Plumb Line', 'Nine Screws', 'Before the Ferry'],
  },
];
