// Rows play in place, one after the other; without this script each is a link to this page with that track.
const audio = document.querySelector('audio');
const now = document.querySelector('.now');
const rows = [...document.querySelectorAll('ol a')];
let at = Math.max(0, rows.findIndex((row) => row.hasAttribute('aria-current')));

function play(next) {
  rows[at].removeAttribute('aria-current');
  at = next;
  const row = rows[at];
  row.setAttribute('aria-current', 'true');
  row.scrollIntoView({ block: 'nearest' });
  now.textContent = row.querySelector('.title').textContent;
  audio.src = row.dataset.audio;
  audio.play().catch(() => {});
}

rows.forEach((row, place) => row.addEventListener('click', (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  play(place);
}));
audio?.addEventListener('ended', () => at + 1 < rows.length && play(at + 1));
