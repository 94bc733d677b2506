// What people write under tracks, and the names of the lists they make.

/** Comments that fit any track. */
export const GENERAL = [
  'this again. and again.', 'the moment at the start where nothing happens yet ♥', 'who gave you permission',
  'played this to my mum, she asked for the name', 'right here', 'oh that chord', 'headphones on, world off',
  'third time today', 'this belongs in a film', 'saving this for the train home', 'the mix is so clear, what did you use?',
  'I keep coming back to this bit', 'mi parte favorita', 'qué bonito', 'ここすき', '最高です', 'lindo demais!', 'wunderschön',
  'świetne!', 'magnifique 🌿', 'goosebumps at this point', 'the ending could go on for another ten minutes', 'instant like',
  'found you through the wednesday show, glad I did', 'is there a longer version?', 'volume up here, trust me',
  'my cat came in to listen', 'this made the dishes go faster', 'what a tone', 'so much space in this', 'yes.',
  'please play this live some day', 'added to the long-drive list', 'that little pause before it comes back in!',
  'how is this only a few minutes old to me', 'my new morning', 'I can hear you smiling', 'underrated', 'okay, wow',
];

/** Comments by style. */
export const BY_STYLE = {
  ambient: ['fell asleep to this (a compliment)', 'I can smell the sea', 'the bells!!', 'breathing slower already'],
  choir: ['sounds like my breath in january', 'how many of you are you?', 'the low voice, under everything', 'þetta er svo fallegt'],
  lofi: ['crackle of the year', 'homework: done', 'that electric piano is butter', 'tea is ready'],
  swell: ['here it comes', 'HERE IT COMES', 'the loud part fixed my week', 'for Åse 🚐'],
  house: ['feet moving under the desk', 'that clap in the hall', 'need the extended mix for friday', 'socks on, volume up'],
  synthwave: ['windows down, it is 1986', 'that lead line!', 'the snare has its own postcode', 'chrome'],
  jungle: ['rewind!', 'that break is filthy', 'reese of the month', 'the pads make it'],
  dub: ['the echo never quite ends, does it', 'sub test passed', 'my neighbours agree', 'deep deep deep'],
  chip: ['レベルアップ!', 'four channels, how', 'boss fight energy', 'なつかしい'],
  glitch: ['my headphones are not broken, right?', 'counted it three times, still lost', 'love the tiny stutter', 'the glassy thing at the end'],
  folk: ['you can hear the wood', 'learned this one tonight', 'played it to the dog', 'second guitar enters and I melt'],
  bossa: ['café na mão', 'tarde perfeita', 'that bass walks like my uncle', 'saudade mesmo'],
  musicbox: ['I want one of these machines', 'the squeak stays!', 'waltzed around the kitchen', 'my daughter says play it again'],
  mallets: ['three against four and I am against the wall', 'Uncle Yaw!!', 'cannot sit still', 'the bass marimba here'],
};

/** Playlists: a name, and the styles it draws from. */
export const PLAYLISTS = [
  { owner: 'mirabelle.test', name: 'Wednesday, after midnight', styles: ['ambient', 'choir', 'dub', 'folk'], count: 9 },
  { owner: 'quietcarriage.test', name: 'window seat', styles: ['folk', 'ambient', 'swell', 'lofi'], count: 8 },
  { owner: 'oluwaseun.test', name: 'Soup No. 4', styles: ['mallets', 'house', 'bossa', 'jungle'], count: 10 },
  { owner: 'yuki-o.test', name: '閉館後に', styles: ['lofi', 'ambient', 'musicbox', 'chip'], count: 7 },
  { owner: 'lucia-m.test', name: 'calentamiento 🔥', styles: ['house', 'mallets', 'synthwave', 'bossa'], count: 8 },
  { owner: 'ngozi.test', name: 'scenes I have not shot yet', styles: ['swell', 'choir', 'synthwave', 'glitch'], count: 7 },
  { owner: 'kettleandmoss.test', name: 'what we listen to while the tea cools', styles: ['bossa', 'folk', 'musicbox', 'ambient'], count: 6 },
];

/** People whose likes also stand in an ordered list of type `liked`. */
export const LIKED_LISTS = ['mirabelle.test', 'dre.test', 'yuki-o.test'];

/** What a profile's description may become, one at a time, while the network is alive. */
export const NEW_DESCRIPTIONS = [
  'back from holiday. what did I miss?', 'new headphones, everything sounds different', 'gone quiet until the record is done',
  'looking for a drummer', 'reading on trains again', 'it is snowing and I have opinions about reverb', 'tea, then music',
];
