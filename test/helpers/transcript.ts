/**
 * Transcripts of a shell in a document: commands after `$ ` in blocks of `console`, and what they
 * say. Run anew, a transcript must say the same, but for what differs from run to run.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";

/** A command, and everything that it says. */
export interface Said {
  command: string;
  output: string;
}

const BLOCK = /^```console\n([\s\S]*?)^```$/gm;
const PROMPT = "$ ";

/** The commands of all blocks of a document, in order, with what is written as their output. */
export function transcriptOf(markdown: string): Said[] {
  const lines = [...markdown.matchAll(BLOCK)].flatMap(([, block = ""]) => block.trimEnd().split("\n"));
  const said: Said[] = [];
  for (const line of lines) {
    const last = said.at(-1);
    if (line.startsWith(PROMPT)) said.push({ command: line.slice(PROMPT.length), output: "" });
    else if (last !== undefined) last.output += `${line}\n`;
    else throw new Error(`a block begins with output: ${line}`);
  }
  return said;
}

/** After each command, with its exit code left for the next one. */
const MARK = "code=$?; printf '\\0'; (exit $code)";

/** Runs commands one after the other in one bash. Gives what each wrote, to either stream. */
export async function runAgain(
  commands: readonly string[],
  { cwd, env }: { cwd: string; env: Record<string, string> },
): Promise<Said[]> {
  const script = ["exec 2>&1", ...commands.flatMap((command) => [command, MARK])].join("\n");
  const shell = spawn("bash", ["-c", script], { cwd, env, stdio: ["ignore", "pipe", "inherit"] });
  const [output] = await Promise.all([text(shell.stdout), once(shell, "exit")]);
  const outputs = output.split("\0");
  return commands.map((command, index) => ({ command, output: outputs[index] ?? "" }));
}

/**
 * Forms of what differs between two runs. A word of the first ones is the same wherever it comes
 * again, so it stands for the same thing in both transcripts; of the others only the form counts.
 */
const NAMES = [
  ["key", /\bsp_[0-9a-f]{12}_[\w-]{43}/],
  ["uuid", /\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/],
  ["digest", /\b[0-9a-f]{12}(?:[0-9a-f]{52})?\b/],
  ["port", /(?<=:)\d{4,5}\b(?!-)/],
] as const;
const FIGURES = [
  ["time", /\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/],
  ["duration", /\b\d+(?:\.\d+)? m?s\b/],
  ["size", /\b\d+(?:\.\d+)? (?:B|[KM]iB)\b/],
] as const;
const VARYING = new RegExp([...NAMES, ...FIGURES].map(([kind, { source }]) => `(?<${kind}>${source})`).join("|"), "g");

/** The same transcript with the nth name of a kind as `<kind n>`, and figures as `<kind>`. */
export function canonical(transcript: readonly Said[]): Said[] {
  const known = new Map<string, string>();
  const plain = (text: string) =>
    text.replaceAll(VARYING, (word, ...rest) => {
      const groups = rest.at(-1) as Record<string, string | undefined>;
      const kind = Object.keys(groups).find((name) => groups[name] !== undefined) ?? "";
      if (FIGURES.some(([name]) => name === kind)) return `<${kind}>`;
      if (!known.has(word)) known.set(word, `<${kind} ${known.size + 1}>`);
      return known.get(word) as string;
    });
  return transcript.map(({ command, output }) => ({ command: plain(command), output: plain(output).trimEnd() }));
}
