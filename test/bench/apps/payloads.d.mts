/** Types of payloads.mjs. */
export const HELLO: string;
export const ITEMS: readonly unknown[];
export const BINARY: Uint8Array<ArrayBuffer>;
