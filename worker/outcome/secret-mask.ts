/**
 * Masks the values of secrets in what a function writes. A function can always write a value in a
 * form that nobody knows again: this is against mistakes, and no wall.
 *
 * The work for a text grows with its length alone, however many secrets there are: a filter over
 * its characters says where a value may begin.
 */

/** Shorter values, and shorter lines of values, are in too many words to be masked. */
export const SHORTEST_MASKED = 6;
export const MASK = "[secret]";
/** More values with one beginning are taken for one value that goes on to the next space. */
const MOST_OF_BEGINNING = 8;
/** So much of a long value is compared: what begins so is masked for as long as it is like it. */
const COMPARED_LENGTH = 64;
const FILTER_SIZE = 8_192;
/** A value in base64 is looked for when it has so many bytes at least. */
const SHORTEST_IN_BASE64 = 9;

export class SecretMask {
  /** Forms of values by their beginning, the longest first; null: whatever begins so. */
  readonly #forms = new Map<string, string[] | null>();
  readonly #filter = new Uint8Array(FILTER_SIZE);
  /** Length of the longest form: a text that is cut there may have cut one. */
  readonly longest: number;

  private constructor(forms: ReadonlySet<string>) {
    this.longest = Array.from(forms).reduce((longest, { length }) => Math.max(longest, length), 0);
    for (const form of [...forms].sort((one, other) => other.length - one.length)) {
      const beginning = form.slice(0, SHORTEST_MASKED);
      const others = this.#forms.get(beginning);
      this.#filter[hashAt(form, 0)] = 1;
      if (others === undefined) this.#forms.set(beginning, [form]);
      else if (others !== null && others.length === MOST_OF_BEGINNING) this.#forms.set(beginning, null);
      else others?.push(form);
    }
  }

  /** null when there is nothing to mask. */
  static of(values: Iterable<string>): SecretMask | null {
    const forms = new Set([...values].flatMap(formsOf).filter(({ length }) => length >= SHORTEST_MASKED));
    return forms.size === 0 ? null : new SecretMask(forms);
  }

  /** The text with `[secret]` in the place of each value. */
  apply(text: string): string {
    let masked = "";
    let from = 0;
    const last = text.length - SHORTEST_MASKED;
    const filter = this.#filter;
    for (let at = 0; at <= last; at++) {
      if (filter[hashAt(text, at)] === 0) continue;
      const length = this.#lengthAt(text, at);
      if (length === 0) continue;
      masked += text.slice(from, at) + MASK;
      at += length - 1;
      from = at + 1;
    }
    return from === 0 ? text : masked + text.slice(from);
  }

  /** Length of the longest form that begins there; 0 when none does. */
  #lengthAt(text: string, at: number): number {
    const forms = this.#forms.get(text.slice(at, at + SHORTEST_MASKED));
    if (forms === undefined) return 0;
    if (forms === null) return /^\S*/.exec(text.slice(at, at + this.longest))?.[0].length || SHORTEST_MASKED;
    const form = forms.find((one) => text.startsWith(one.slice(0, COMPARED_LENGTH), at));
    return form === undefined ? 0 : commonLength(form, text, at);
  }
}

/** A number below FILTER_SIZE, of some of the first characters. */
function hashAt(text: string, at: number): number {
  return (text.charCodeAt(at) ^ (text.charCodeAt(at + 2) << 3) ^ (text.charCodeAt(at + 5) << 6)) & (FILTER_SIZE - 1);
}

/** How far a form goes on in a text that begins like it. */
function commonLength(form: string, text: string, at: number): number {
  let length = Math.min(form.length, COMPARED_LENGTH);
  while (length < form.length && form.charCodeAt(length) === text.charCodeAt(at + length)) length++;
  return length;
}

/** The value, its lines, and both as they look inside JSON, a URL and base64. */
function formsOf(value: string): string[] {
  const lines = value.split(/\r?\n/).map((line) => line.trim());
  const plain = [value, value.trim(), ...lines];
  return [...plain, ...[value.trim(), ...lines].flatMap((text) => [...escapedForms(text), ...base64Forms(text)])];
}

function escapedForms(text: string): string[] {
  return [JSON.stringify(text).slice(1, -1), encodeURIComponent(text)];
}

/**
 * The characters that the text becomes in base64 and base64url, wherever it stands in what is
 * encoded: of the three ways to fall on groups of three bytes, what no neighbour changes.
 */
function base64Forms(text: string): string[] {
  const bytes = Buffer.from(text);
  if (bytes.length < SHORTEST_IN_BASE64) return [];
  return [0, 1, 2].flatMap((before) => {
    const whole = Buffer.concat([Buffer.alloc(before), bytes]);
    const first = Math.ceil((before * 8) / 6);
    const last = Math.floor((whole.length * 8) / 6);
    return (["base64", "base64url"] as const).map((encoding) => whole.toString(encoding).slice(first, last));
  });
}
