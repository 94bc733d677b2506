import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig, type Plugin } from 'vite';

/** Where `npm run dev` finds the server. */
const server = process.env.PLYR_DEV_SERVER ?? 'http://127.0.0.1:3000';

/**
 * Puts src/theme.js ahead of everything as a plain blocking script: a bundled module would run after the
 * first paint, and a strict content security policy rules out an inline one.
 */
function themeScript(): Plugin {
  const source = readFileSync(new URL('./src/theme.js', import.meta.url), 'utf8');
  const fileName = `assets/theme-${createHash('sha256').update(source).digest('hex').slice(0, 8)}.js`;
  return {
    name: 'theme-script',
    transformIndexHtml: (_html, context) => [
      { tag: 'script', attrs: { src: context.server ? '/src/theme.js' : `/${fileName}` }, injectTo: 'head-prepend' },
    ],
    generateBundle() {
      this.emitFile({ type: 'asset', fileName, source });
    },
  };
}

export default defineConfig({
  plugins: [svelte(), themeScript()],
  build: {
    outDir: 'dist',
    // Every file stays a file: the policy of the page allows no inline code.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    host: '127.0.0.1',
    proxy: Object.fromEntries(
      ['/xrpc', '/live', '/audio', '/media', '/auth', '/tracks', '/config'].map((path) => [path, server]),
    ),
  },
});
