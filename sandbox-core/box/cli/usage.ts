/** A command line that is wrong. */
export class UsageError extends Error {
  /** Advice: words to write instead. */
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.name = "UsageError";
    this.hint = hint;
  }
}
