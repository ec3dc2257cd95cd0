/** Words of `npm start` when it cannot go on. */

/**
 * A failure that the user can do something about: what was wrong, and what to do. No stack trace is
 * shown for it.
 */
export class UpError extends Error {
  readonly hint: string;
  constructor(message: string, hint: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "UpError";
    this.hint = hint;
  }
}

/** The user asked to end while Sandpiper was still starting. */
export class Interrupted extends Error {
  constructor() {
    super("interrupted");
    this.name = "Interrupted";
  }
}
