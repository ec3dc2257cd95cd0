/** The one answer for a function that is not there, and for one that the key may not see. */
import { SandpiperError } from "../../functions/model/errors.ts";

/** Says that the tenant has no such function. */
export function noFunction(name: string): SandpiperError {
  return new SandpiperError("FUNCTION_NOT_FOUND", { message: `There is no function ${name}.` });
}
