// Patterns of collection names, as the firehose client writes them: `fm.plyr.*` or a whole name.

/** A test of a collection name against a comma list of patterns; everything passes without one. */
export function collectionTest(list) {
  const patterns = (list ?? '').split(',').filter(Boolean);
  if (patterns.length === 0) return () => true;
  return (name) => patterns.some((p) => (p.endsWith('.*') ? name.startsWith(p.slice(0, -1)) : name === p));
}
