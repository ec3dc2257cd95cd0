/** Failures of building and loading a version: a part of the table of errors. */
import type { ErrorEntry } from "./error-entry.ts";

export const VERSION_ERRORS = {
  VERSION_NOT_FOUND: {
    status: 404,
    message: "The function has no such version.",
    fix: "`sandpiper versions NAME` lists them. Old ones are collected: deploy its sources again.",
  },
  VERSION_AMBIGUOUS: {
    status: 409,
    message: "More than one version of the function fits.",
    fix: "Name it by more of its digits; `sandpiper versions NAME` lists them.",
  },
  ALIAS_NOT_FOUND: {
    status: 404,
    message: "The function has no such alias.",
    fix: "`sandpiper alias list NAME` lists them.",
  },
  INVALID_ALIAS: {
    status: 400,
    message: "The alias cannot be what it is to be.",
    fix: "Correct what the message names: a name of a-z, 0-9 and '-', one version or two with shares of 100 percent together.",
  },
  TOO_MANY_ALIASES: {
    status: 409,
    message: "The function has as many aliases as it may have: 32.",
    fix: "Delete one that nobody needs: `sandpiper alias delete`.",
  },
  PRECONDITION_FAILED: {
    status: 412,
    message: "The alias is not what the request's `if-match` or `if-none-match` says.",
    fix: "Read the alias again, see what was moved meanwhile, and send its etag if you still want to move it.",
  },
  NO_EARLIER_VERSION: {
    status: 409,
    message: "No other version was live before that is still kept.",
    fix: "Name a version: `sandpiper versions NAME` lists them.",
  },
  BUILD_FAILED: {
    status: 422,
    message: "The bundle could not be built.",
    fix: "Correct what the message shows: the file, the line and the reason are the bundler's own words.",
  },
  BUILD_UNAVAILABLE: {
    status: 503,
    message: "No worker built the bundle in time.",
    fix: "See that a worker is running (/readyz says so), then deploy again.",
  },
  SOURCE_MISSING: {
    status: 409,
    message: "The deployment names source files that were not uploaded.",
    fix: "Ask /v1/sources/missing which ones, send them to /v1/sources, and deploy again. `sandpiper deploy` does so.",
  },
  CHECK_FAILED: {
    status: 422,
    message: "The version does not load, so it was not deployed.",
    fix: "Correct what the message shows. The version that was live stays live; `sandpiper deploy --no-check` deploys it all the same.",
  },
  CHECK_UNAVAILABLE: {
    status: 503,
    message: "No worker could load the version in time to check it.",
    fix: "Deploy again, as this says nothing about the function; see that a worker is running (/readyz says so). `sandpiper deploy --no-check` does without.",
  },
  STORAGE_FULL: {
    status: 507,
    message: "The disk of the artefact store is full.",
    fix: "Free space where SANDPIPER_ARTIFACTS_DIR is: `sandpiper gc` removes what nobody needs. Then deploy again.",
  },
  UPLOAD_QUOTA: {
    status: 429,
    message: "The tenant's deployments wrote more than they may in a day.",
    fix: "Wait for as long as the message says, or have the operator raise SANDPIPER_UPLOAD_QUOTA_BYTES. What is deployed goes on; to deploy a version again that is still kept takes no room.",
  },
  GC_RUNNING: {
    status: 409,
    message: "Old versions and files are being collected already.",
    fix: "Wait until that is done, then ask again.",
  },
  ARTIFACT_STORE_MISMATCH: {
    status: 409,
    message: "The artefact store is used by another Redis too, so nothing is collected.",
    fix: "Give each Sandpiper a SANDPIPER_ARTIFACTS_DIR of its own. If the other Redis is gone for ever, remove the file that the message names.",
  },
  FUNCTION_LOAD_FAILED: {
    status: 502,
    message: "The function's module failed while it was loaded.",
    fix: "Read the function's log: an import or top-level code threw, or there is no handler among the exports and no server that listens.",
  },
  FUNCTION_RESTORE_FAILED: {
    status: 502,
    message: "The function's afterRestore failed in a copy of the loaded module.",
    fix: "Read the function's log: what afterRestore threw is there.",
  },
  EGRESS_UNAVAILABLE: {
    status: 503,
    message: "The function's outgoing connections could not be set up. It did not run.",
    fix: "Call again. When it lasts, the worker's log says why.",
  },
  EGRESS_LOST: {
    status: 502,
    message: "The function's outgoing connections broke, as Sandpiper's relay ended. The function is not to blame.",
    fix: "Call again: the relay is started anew. The worker's log says why it ended.",
  },
  BUNDLE_LOST: {
    status: 503,
    message: "The function's code is not in the artefact store any more.",
    fix: "Deploy the function again. SANDPIPER_ARTIFACTS_DIR must name the same directory for all processes.",
  },
  SECRET_NOT_FOUND: {
    status: 404,
    message: "There is no secret of that name.",
    fix: "Look at the name and whose secret it is: a function's own needs `--function`. `sandpiper secret list` shows all.",
  },
  SECRET_MISSING: {
    status: 502,
    message: "The function declares a secret that is not set.",
    fix: "Read the function's log, which names it, and set it: `sandpiper secret set NAME`. The function need not be deployed again.",
  },
  SECRET_UNFIT: {
    status: 502,
    message: "A secret cannot be put into a header field of the function's requests.",
    fix: "Read the function's log, which names it. A header field is one line of ASCII: set the secret to such a value.",
  },
  ENVIRONMENT_TOO_LARGE: {
    status: 502,
    message: "The function's variables and secrets are too large together.",
    fix: "Take less into `env` and secrets: 131,072 characters in all. Large data belongs into a file that is included.",
  },
  SECRETS_UNREADABLE: {
    status: 503,
    message: "The function's secrets cannot be opened.",
    fix: "Look into the worker's log, which says why: mostly a master key lacks. OPERATIONS.md says what to do when one is lost.",
  },
} as const satisfies Record<string, ErrorEntry>;
