/** One audio element, and what there is to know about it. */

import { Ear } from './ear';
import { feed } from './feed.svelte';
import { library } from './library.svelte';
import { notices } from './notices.svelte';
import type { Track } from './view';
import { volume } from './volume.svelte';

/** Within it, `previous` leaves the track; later it goes back to its start. */
const RESTART_AFTER_S = 3;

type Status = 'paused' | 'playing' | 'ended' | 'failed' | 'gone';

class Player {
  status = $state<Status>('paused');
  /** It should play, and waits for data. */
  waiting = $state(false);
  positionS = $state(0);
  /** Of the audio itself, once it is known. */
  #lengthS = $state<number | null>(null);
  buffered = $state.raw<[startS: number, endS: number][]>([]);
  /** Why there is silence, in words. */
  problem = $state<string | null>(null);
  #chosen = $state.raw<Track | null>(null);
  #audio = new Audio();
  #ear = new Ear();
  /** Where to start once the audio knows its length. */
  #startS = 0;

  constructor() {
    const audio = this.#audio;
    audio.preload = 'auto';
    audio.addEventListener('loadedmetadata', () => this.#begin());
    audio.addEventListener('durationchange', () => this.#measure());
    audio.addEventListener('timeupdate', () => this.#moved());
    audio.addEventListener('progress', () => this.#measure());
    audio.addEventListener('seeked', () => this.#measure());
    audio.addEventListener('waiting', () => (this.waiting = true));
    audio.addEventListener('playing', () => (this.waiting = false));
    audio.addEventListener('play', () => (this.status = 'playing'));
    audio.addEventListener('pause', () => this.#paused());
    audio.addEventListener('ended', () => void this.#ended());
    audio.addEventListener('error', () => this.#failed());
    $effect.root(() => {
      $effect(() => {
        audio.volume = volume.level;
        audio.muted = volume.muted;
      });
    });
  }

  /** The newest view of what plays; after it is gone from the network, the last one. */
  get track(): Track | null {
    return library.get(this.#chosen?.uri ?? null) ?? this.#chosen;
  }

  get lengthS(): number | null {
    return this.#lengthS ?? this.track?.durationS ?? null;
  }

  get playing(): boolean {
    return this.status === 'playing';
  }

  isOn(uri: string): boolean {
    return this.#chosen?.uri === uri;
  }

  play(track: Track, startS = 0): void {
    if (!track.audio) {
      notices.say(`“${track.title}” is still arriving: its audio is not here yet.`);
      return;
    }
    this.#chosen = track;
    this.#ear.begin(track.uri);
    this.problem = null;
    this.#lengthS = null;
    this.buffered = [];
    this.#startS = startS;
    this.positionS = startS;
    this.waiting = true;
    this.#audio.src = track.audio;
    this.#start();
  }

  /** Puts a track on without a sound. */
  ready(track: Track, startS: number): void {
    if (!track.audio || this.#chosen) return;
    this.#chosen = track;
    this.#ear.begin(track.uri);
    this.#startS = startS;
    this.positionS = startS;
    this.#audio.src = track.audio;
  }

  /** Plays or pauses this very track. */
  toggle(track: Track): void {
    if (this.isOn(track.uri) && this.status !== 'gone') this.toggleCurrent();
    else this.play(track);
  }

  toggleCurrent(): void {
    const { track } = this;
    if (!track || this.status === 'gone') return;
    if (this.status === 'failed') this.retry();
    else if (this.status === 'playing') this.#audio.pause();
    else this.#start();
  }

  pause(): void {
    this.#audio.pause();
  }

  retry(): void {
    if (this.track) this.play(this.track, this.positionS);
  }

  seek(positionS: number): void {
    if (!this.track || this.status === 'failed' || this.status === 'gone') return;
    const target = Math.max(0, Math.min(positionS, this.lengthS ?? positionS));
    this.positionS = target;
    if (this.#audio.readyState >= HTMLMediaElement.HAVE_METADATA) this.#audio.currentTime = target;
    else this.#startS = target;
    if (this.status === 'ended') this.status = 'paused';
  }

  seekBy(deltaS: number): void {
    this.seek(this.positionS + deltaS);
  }

  /** To a moment of a track, whatever plays now. */
  playFrom(track: Track, positionS: number): void {
    if (!this.isOn(track.uri) || this.status === 'failed' || this.status === 'gone') {
      this.play(track, positionS);
    } else {
      this.seek(positionS);
      if (!this.playing) this.#start();
    }
  }

  previous(): void {
    const { track } = this;
    if (!track) return;
    const before = feed.before(track).find((other) => other.audio);
    if (this.status === 'gone' || (before && this.positionS <= RESTART_AFTER_S)) {
      if (before) this.play(before);
    } else {
      this.seek(0);
    }
  }

  /** The next track of the feed that can be heard; further pages are fetched as needed. */
  async next(): Promise<void> {
    const from = this.track;
    if (!from) return;
    let after = feed.after(from);
    while (!after.some((track) => track.audio) && (await feed.loadMore())) after = feed.after(from);
    // The listener chose something else while pages were fetched.
    if (!this.isOn(from.uri)) return;
    const next = after.find((track) => track.audio);
    const passed = next ? after.slice(0, after.indexOf(next)) : after;
    for (const track of passed) notices.say(`skipped “${track.title}”: its audio is not here yet.`);
    if (next) this.play(next);
    else if (feed.more === 'failed') notices.say('the next track could not be fetched.');
    else notices.say('that was the last track.');
  }

  /** The track is not on the network any more. */
  gone(uri: string): void {
    if (!this.isOn(uri) || this.status === 'gone') return;
    this.#chosen = this.track;
    this.#silence();
    this.status = 'gone';
    this.problem = `“${this.#chosen?.title}” is not available any more, so it was stopped.`;
  }

  /** It is there again, ready to be played. */
  returned(uri: string): void {
    const { track } = this;
    if (!this.isOn(uri) || this.status !== 'gone' || !track?.audio) return;
    this.problem = null;
    this.status = 'paused';
    this.#audio.src = track.audio;
  }

  /** Puts the player away. */
  close(): void {
    this.#silence();
    this.#chosen = null;
    this.problem = null;
    this.status = 'paused';
  }

  #silence(): void {
    this.#audio.pause();
    this.#audio.removeAttribute('src');
    this.#audio.load();
    this.waiting = false;
    this.#startS = 0;
    this.positionS = 0;
    this.buffered = [];
  }

  #start(): void {
    this.status = 'playing';
    this.#audio.play().catch((error: unknown) => {
      // A newer choice interrupted this one, or the error event has the words for it.
      if (!(error instanceof DOMException) || error.name !== 'NotAllowedError') return;
      this.status = 'paused';
      this.waiting = false;
      notices.say('the browser asks for a click before it plays sound.');
    });
  }

  #moved(): void {
    this.positionS = this.#startS || this.#audio.currentTime;
    if (this.playing) this.#ear.hear(this.#audio.currentTime, this.lengthS);
  }

  #begin(): void {
    this.#measure();
    if (this.#startS > 0) this.#audio.currentTime = this.#startS;
    this.#startS = 0;
  }

  #measure(): void {
    const { duration, buffered } = this.#audio;
    this.#lengthS = Number.isFinite(duration) && duration > 0 ? duration : null;
    this.buffered = Array.from({ length: buffered.length }, (_, i) => [buffered.start(i), buffered.end(i)]);
  }

  #paused(): void {
    // The event of an older pause may come after a newer start.
    if (!this.#audio.paused) return;
    this.waiting = false;
    if (this.status === 'playing') this.status = 'paused';
  }

  async #ended(): Promise<void> {
    this.status = 'ended';
    // Should it be started again, that is another play.
    if (this.#chosen) this.#ear.begin(this.#chosen.uri);
    await this.next();
  }

  #failed(): void {
    // Taking the source away is reported as an error as well.
    if (!this.#audio.hasAttribute('src') || !this.#chosen) return;
    this.positionS = this.#startS || this.#audio.currentTime || this.positionS;
    this.waiting = false;
    this.status = 'failed';
    this.problem = `“${this.#chosen.title}” cannot be played: ${this.#why()}`;
  }

  #why(): string {
    const format = this.track?.fileType ? ` (${this.track.fileType})` : '';
    if (!navigator.onLine) return 'you seem to be offline.';
    switch (this.#audio.error?.code) {
      case MediaError.MEDIA_ERR_NETWORK:
        return 'the connection broke off.';
      case MediaError.MEDIA_ERR_DECODE:
        return `the audio${format} is damaged, or this browser cannot read it.`;
      case MediaError.MEDIA_ERR_SRC_NOT_SUPPORTED:
        return `the audio${format} could not be loaded, or this browser cannot read it.`;
      default:
        return 'the browser gave up on it.';
    }
  }
}

export const player = new Player();
