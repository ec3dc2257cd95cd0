/** Messages of a sandbox without the secrets that a function threw, or has in names. */
import type { Failure, Found, SandboxMessage } from "../../sandbox-core/protocol/frames.ts";
import type { SecretMask } from "../outcome/secret-mask.ts";

/**
 * The message with each secret masked that would be kept or logged. Lines of logs are not looked
 * at.
 */
export function maskedMessage(message: SandboxMessage, mask: SecretMask | null): SandboxMessage {
  if (mask === null) return message;
  switch (message.type) {
    case "end":
      return message.error === null ? message : { ...message, error: maskedFailure(message.error, mask) };
    case "failed":
    case "load_failed":
      return { ...message, error: maskedFailure(message.error, mask) };
    case "loaded":
      return message.found === null ? message : { ...message, found: maskedFound(message.found, mask) };
    case "templated":
      return message.noTemplateReason === null
        ? message
        : { ...message, noTemplateReason: mask.apply(message.noTemplateReason) };
    default:
      return message;
  }
}

function maskedFailure({ name, message, stack }: Failure, mask: SecretMask): Failure {
  return { name: mask.apply(name), message: mask.apply(message), stack: mask.apply(stack) };
}

function maskedFound({ handler, warnings }: Found, mask: SecretMask): Found {
  return { handler: mask.apply(handler), warnings: warnings.map((warning) => mask.apply(warning)) };
}
