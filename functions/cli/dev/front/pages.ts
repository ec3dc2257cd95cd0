/** Words of pages: of a function that cannot be served as it is, and of a call that failed. */
import { errorSchema } from "../../../api/schemas.ts";
import { ERRORS } from "../../../model/error-table.ts";
import { isErrorCode } from "../../../model/errors.ts";
import type { CallStory } from "../call-stories.ts";
import type { DevFailure } from "../failure.ts";
import { type SourceFiles, sourceOf } from "../stack-source.ts";
import type { Page } from "./page.ts";

/** @param hasOlder whether an older version answers other clients. */
export function failurePage({ title, message, hint, source, code }: DevFailure, hasOlder: boolean): Page {
  const served = hasOlder ? "Clients that do not ask for a page get answers of the version before." : "";
  return {
    title,
    summary: [served, code].filter(Boolean).join(" "),
    parts: [
      { heading: "What is wrong", text: message },
      { heading: "Where", text: source ?? "" },
      { heading: "What to do", text: hint ?? "" },
    ],
  };
}

export interface FailedCall {
  /** The answer's body: JSON of the gateway, as a rule. */
  body: string;
  id: string | undefined;
  outcome: string | undefined;
  story: CallStory | null;
}

/** The page of a call that ended with an outcome of its own, or that the gateway refused. */
export function failedCallPage({ body, id, outcome, story }: FailedCall, sources: SourceFiles): Page {
  const { code, message } = errorIn(body);
  const log = (story?.lines ?? []).map(({ level, text }) => `${level.padEnd(5)} ${text.trimEnd()}`).join("\n");
  const request = story?.request;
  return {
    title: outcome === undefined ? "The function was not called" : `The call failed: ${outcome}`,
    summary: [request && `${request.method} ${request.path}`, code, id && `invocation ${id}`]
      .filter(Boolean)
      .join(" · "),
    parts: [
      { heading: "What happened", text: message },
      { heading: "Where", text: sourceOf(log, sources) ?? "" },
      { heading: "The call's log", text: log },
      { heading: "What to do", text: isErrorCode(code) ? ERRORS[code].fix : "" },
    ],
  };
}

function errorIn(body: string): { code: string; message: string } {
  try {
    return errorSchema.parse(JSON.parse(body)).error;
  } catch {
    return { code: "", message: body };
  }
}
