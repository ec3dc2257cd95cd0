/** The facts of one code. */
export interface ErrorEntry {
  /** HTTP status of the answer that carries it. */
  readonly status: number;
  /**
   * The event, as one sentence; the message when the place that failed has nothing more exact to
   * say.
   */
  readonly message: string;
  /** Advice: how to mend it. */
  readonly fix: string;
}
