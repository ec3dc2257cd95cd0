/** Why a sandbox could not be made, or what was asked of a launcher that is gone. */
export class SandboxError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "SandboxError";
  }
}

/** This machine's control groups cannot be used: what is missing, and what to do. */
export class CgroupsError extends SandboxError {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CgroupsError";
  }
}

/** A limit that was asked for and that this machine cannot keep. No sandbox is made without it. */
export class UnsupportedLimitError extends SandboxError {
  /** The field of SandboxLimits. */
  readonly limit: string;
  constructor(limit: string, why: string) {
    super(`the limit ${limit} cannot be kept here: ${why}`);
    this.name = "UnsupportedLimitError";
    this.limit = limit;
  }
}

/** The sockets of a sandbox's egress could not be made, and so no sandbox. */
export class EgressSocketsError extends SandboxError {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "EgressSocketsError";
  }
}

/** Every wall stood, and the program could not be started. */
export class StartFailure extends SandboxError {
  /** The kernel's error: "ENOENT", "EACCES", "ENOEXEC". */
  readonly code: string;

  constructor(message: string, code: string) {
    super(message);
    this.name = "StartFailure";
    this.code = code;
  }
}
