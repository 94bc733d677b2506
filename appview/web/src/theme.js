// Runs before the first paint, so that a chosen theme never flashes in the other one.
// Without a choice there is no attribute, and the style sheet follows the system.
(() => {
  try {
    const theme = localStorage.getItem('plyr.theme');
    if (theme === 'dark' || theme === 'light') document.documentElement.dataset.theme = theme;
  } catch {
    // Storage can be closed to us; the system's theme is right then.
  }
})();
