/** Lines of `npm start` when everything runs. */
import { relative } from "node:path";
import { HELLO, HELLO_QUERY } from "./examples.ts";

export interface Running {
  url: string;
  apiKeyFile: string;
  /** The CLI finds this Sandpiper by itself; it does for the default data directory. */
  found: boolean;
  /** Whether `npm start` ends by itself, now. */
  once: boolean;
  /** The working directory: paths below it are shown relative to it. */
  cwd: string;
  /** Name and URL of each example. */
  examples: readonly (readonly [name: string, url: string])[];
  /** The answer of the called example. */
  answer: string;
}

/** Text for a person: where everything is, a line that can be pasted, and what to type next. */
export function summary(running: Running): string {
  const { url, apiKeyFile, found, once, cwd, examples, answer } = running;
  const width = Math.max(...examples.map(([name]) => name.length));
  const keyFile = shorter(apiKeyFile, cwd);
  const hello = new Map(examples).get(HELLO) ?? "";
  return `
Sandpiper runs.

  Gateway    ${url}
  API        ${url}/v1/openapi.json
  API key    ${keyFile}
  Functions  ${examples.map(([name, at]) => `${name.padEnd(width)}  ${at}`).join("\n             ")}

Call one:

  curl ${shellQuote(`${hello}${HELLO_QUERY}`)}

It answered just now: ${answer.split("\n")[0]}

Next, in another terminal:

${found ? "" : `  export SANDPIPER_URL=${url} SANDPIPER_API_KEY="$(cat ${shellQuote(keyFile)})"\n`}  npx sandpiper init hi && npx sandpiper deploy hi
  npx sandpiper invoke hi --trace
  curl -H "authorization: Bearer $(cat ${shellQuote(keyFile)})" ${shellQuote(`${url}/v1/functions`)}

${once ? "--once was given, so it stops now." : "Ctrl-C stops it; running calls may end first."}
`;
}

function shorter(path: string, cwd: string): string {
  const short = relative(cwd, path);
  return short.startsWith("..") ? path : short;
}

/** Quoted for a POSIX shell, and left alone when nothing in it needs quoting. */
function shellQuote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
