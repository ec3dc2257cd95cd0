/** Why a sandbox could not be made, or what was asked of a launcher that is gone. */
export class SandboxError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "SandboxError";
  }
}
