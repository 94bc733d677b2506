/** The form of a new track. It outlasts a look at another page; files cannot outlast the document. */

import { getLimits, type Limits } from './hand';
import { size } from './format';
import type { Piece } from './uploads.svelte';

export const TAGS_MAX = 10;
export const TITLE_MAX = 256;
export const DESCRIPTION_MAX = 5000;
const TAG_LENGTH_MAX = 50;

const AUDIO = ['mp3', 'm4a', 'wav'];
const IMAGES = ['jpg', 'jpeg', 'png', 'webp', 'gif'];

/** For the file choosers: by ending and by type, as devices know files by either. */
export const ACCEPT_AUDIO = `${AUDIO.map((ending) => `.${ending}`).join(',')},audio/mpeg,audio/mp4,audio/x-m4a,audio/wav,audio/x-wav`;
export const ACCEPT_IMAGES = 'image/jpeg,image/png,image/webp,image/gif';

const endingOf = (file: File): string => /\.([^.]+)$/.exec(file.name)?.[1]?.toLowerCase() ?? '';

/** Without ending, track number and the underscores of old file systems. */
function titleOf(file: File): string {
  const bare = file.name.replace(/\.[^.]+$/, '');
  const words = bare.replaceAll('_', ' ').replace(/\s+/g, ' ').trim();
  return (words.replace(/^(?:\d{1,3}[.)]\s*(?=\D)|\d{1,3}\s+-\s+|0\d\s+)/, '') || words).slice(0, TITLE_MAX);
}

/** As the server will keep it. */
export function tidyTag(typed: string): string {
  const tag = typed.toLowerCase().replace(/\s+/g, ' ').trim().replace(/^-+|-+$/g, '');
  return Array.from(tag).slice(0, TAG_LENGTH_MAX).join('').trim();
}

class Form {
  file = $state.raw<File | null>(null);
  title = $state('');
  album = $state('');
  description = $state('');
  tags = $state.raw<string[]>([]);
  cover = $state.raw<File | null>(null);
  limits = $state.raw<Limits>({ audioMaxMb: 1536, imageMaxMb: 20 });
  problems = $state.raw<{ file?: string; title?: string; cover?: string; tags?: string }>({});
  /** The title is the file's name, which another file may replace. */
  #titleIsGuess = true;
  #asked: Promise<void> | null = null;

  get isEmpty(): boolean {
    return !this.file && !this.cover && !this.title && !this.description && this.tags.length === 0;
  }

  /** Only to warn early: the server decides. */
  async askLimits(): Promise<void> {
    this.#asked ??= getLimits().then(
      (limits) => void (this.limits = limits),
      () => void (this.#asked = null),
    );
    await this.#asked;
  }

  choose(file: File): void {
    const problem = this.#audioProblem(file);
    this.#mark('file', problem);
    if (problem) return;
    this.file = file;
    if (this.#titleIsGuess || !this.title.trim()) {
      this.title = titleOf(file);
      this.#titleIsGuess = true;
    }
    this.#mark('title', undefined);
  }

  writeTitle(title: string): void {
    this.title = title;
    this.#titleIsGuess = title.trim() === '';
    if (title.trim()) this.#mark('title', undefined);
  }

  chooseCover(file: File | null): void {
    const problem = file ? this.#imageProblem(file) : undefined;
    this.#mark('cover', problem);
    if (!problem) this.cover = file;
  }

  /** A picture that the browser cannot show will not do as a cover either. */
  refuseCover(): void {
    this.cover = null;
    this.#mark('cover', 'this picture cannot be read. try it as a jpeg or png.');
  }

  /** One or several, between commas. */
  addTags(typed: string): void {
    const added = typed.split(',').map(tidyTag).filter(Boolean);
    const tags = [...new Set([...this.tags, ...added])];
    this.#mark('tags', tags.length > TAGS_MAX ? `${TAGS_MAX} tags are the most a track can have.` : undefined);
    this.tags = tags.slice(0, TAGS_MAX);
  }

  removeTag(tag: string): void {
    this.tags = this.tags.filter((other) => other !== tag);
    this.#mark('tags', undefined);
  }

  /** What is to be sent, where nothing is missing; the form is then empty but for the album. */
  take(): Piece | null {
    const title = this.title.trim();
    this.#mark('file', this.file ? undefined : 'choose the audio first.');
    this.#mark('title', title ? undefined : 'a track needs a title.');
    if (!this.file || !title) return null;
    const { file, tags, cover } = this;
    const piece = { file, title, album: this.album.trim(), description: this.description.trim(), tags, cover };
    this.clear();
    this.album = piece.album;
    return piece;
  }

  clear(): void {
    [this.file, this.cover] = [null, null];
    [this.title, this.album, this.description] = ['', '', ''];
    this.tags = [];
    this.problems = {};
    this.#titleIsGuess = true;
  }

  /** To be changed and sent again. */
  putBack(piece: Piece): void {
    Object.assign(this, piece);
    this.problems = {};
    this.#titleIsGuess = false;
  }

  #mark(field: keyof Form['problems'], problem: string | undefined): void {
    const { [field]: _, ...others } = this.problems;
    this.problems = problem === undefined ? others : { ...others, [field]: problem };
  }

  #audioProblem(file: File): string | undefined {
    const { audioMaxMb } = this.limits;
    if (!AUDIO.includes(endingOf(file))) return `“${file.name}” is not one of ${AUDIO.join(', ')}.`;
    if (file.size === 0) return `“${file.name}” is empty.`;
    if (file.size > audioMaxMb * 1024 ** 2) {
      return `“${file.name}” has ${size(file.size)}; ${size(audioMaxMb * 1024 ** 2)} are the most this server takes.`;
    }
    return undefined;
  }

  #imageProblem(file: File): string | undefined {
    const { imageMaxMb } = this.limits;
    if (!IMAGES.includes(endingOf(file))) return `“${file.name}” is not a picture of a known kind: ${IMAGES.join(', ')}.`;
    if (file.size > imageMaxMb * 1024 ** 2) {
      return `the picture has ${size(file.size)}; ${size(imageMaxMb * 1024 ** 2)} are the most this server takes.`;
    }
    return undefined;
  }
}

export const form = new Form();
