// People who publish nothing but listen, like, comment and collect.

export default [
  { handle: 'mirabelle.test', name: 'Mirabelle', motif: 'orb', palette: ['#3a1f2b', '#a1445f', '#ffe3d8', '#f7b267'], description: 'radio host, wednesday nights. if i liked it, it may be on air.', likes: ['ambient', 'choir', 'musicbox', 'folk'] },
  { handle: 'tomasz-w.test', name: 'Tomasz W.', motif: 'tiles', palette: ['#1c2541', '#3a506b', '#f0f3f5', '#5bc0be'], description: 'vinyl, bikes, pierogi.', likes: ['synthwave', 'house', 'dub', 'musicbox'] },
  { handle: 'yuki-o.test', name: '小川 ゆき', motif: 'leaves', palette: ['#233d2c', '#6b9a6f', '#fbf8ea', '#e08e6d'], description: '図書館で働いています。静かな音楽が好きです。', likes: ['lofi', 'chip', 'ambient', 'folk'] },
  { handle: 'dre.test', name: 'Dre', motif: 'pixels', palette: ['#0f1020', '#41337a', '#f7f7ff', '#ffa400'], description: 'bass player. will talk to you about compressors.', likes: ['jungle', 'house', 'dub', 'mallets', 'lofi'] },
  { handle: 'saoirse.test', name: 'Saoirse Ní Bhriain', motif: 'rings', palette: ['#112b2a', '#2e6f60', '#eaf6ea', '#f2cc6b'], description: 'fiddle teacher in galway. likes anything with a good tune in it.', likes: ['folk', 'bossa', 'musicbox', 'swell'] },
  { handle: 'oluwaseun.test', name: 'Oluwaseun A.', motif: 'weave', palette: ['#1d1b2e', '#6a3d8a', '#fff0c9', '#f25f4c'], description: 'Lagos. I make playlists the way other people make soup.', likes: ['mallets', 'house', 'bossa', 'jungle'] },
  { handle: 'hanna-lind.test', name: 'Hanna Lind', motif: 'contours', palette: ['#132a3e', '#2f5d7c', '#eef6f8', '#e9c46a'], description: 'cartographer. maps by day, records by night.', likes: ['dub', 'ambient', 'swell', 'choir'] },
  { handle: 'bigteapot.test', name: 'big teapot', motif: 'horizon', palette: ['#2b1d2f', '#8a4f6a', '#ffe9cf', '#f5a25d'], description: 'just here for the lo-fi', likes: ['lofi', 'bossa', 'chip'] },
  { handle: 'kavya.test', name: 'Kavya Raman', motif: 'shards', palette: ['#1a1330', '#5a3d8f', '#f8f0ff', '#ff7e6b'], description: 'tabla student, sound engineer, early riser. chennai.', likes: ['mallets', 'glitch', 'jungle', 'choir'] },
  { handle: 'pieter.test', name: 'Pieter v.d. Berg', motif: 'bars', palette: ['#161a1d', '#4a5759', '#f7ede2', '#f28482'], description: 'nachtdienst in het ziekenhuis. koptelefoon op.', likes: ['ambient', 'glitch', 'dub', 'synthwave'] },
  { handle: 'lucia-m.test', name: 'Lucía M.', motif: 'pavement', palette: ['#1b2a41', '#48708f', '#fdf5e6', '#ef8354'], description: 'profe de baile. si no se mueve el pie, no me sirve.', likes: ['house', 'mallets', 'bossa', 'synthwave'] },
  { handle: 'quietcarriage.test', name: 'The Quiet Carriage', motif: 'night', palette: ['#15152b', '#44446e', '#fff6dc', '#c9a3e0'], description: 'music for trains. two new finds each week.', likes: ['ambient', 'folk', 'swell', 'lofi', 'synthwave'] },
  { handle: 'ngozi.test', name: 'Ngozi', motif: 'neon', palette: ['#1a0f2e', '#6a2c70', '#fff0e0', '#f08a5d'], description: 'filmmaker looking for soundtracks. dm open.', likes: ['swell', 'choir', 'synthwave', 'glitch'] },
];
