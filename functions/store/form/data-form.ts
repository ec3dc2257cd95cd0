/**
 * The number of the form in which data lies in Redis. Whoever starts moves older data by the steps
 * of form-steps.ts, and leaves newer data alone.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";
import { SandpiperError } from "../../model/errors.ts";
import { DATA_FORM, FIRST_FORM, type FormParts, type FormStep, STEPS } from "./form-steps.ts";

/** The number; none in a new Redis, and in one from before there were numbers. */
export const FORM = "sp:form";
/** The process that moves data. */
const LOCK = "sp:form:lock";
const LOCK_MS = 30_000;
const RENEW_MS = 10_000;
/** Pause between two looks at a move of another process. */
const LOOK_MS = 100;

/** KEYS: lock. ARGV: token, ms. */
const RENEW = `
if redis.call("GET", KEYS[1]) == ARGV[1] then redis.call("PEXPIRE", KEYS[1], ARGV[2]) end`;

/** KEYS: lock. ARGV: token. */
const RELEASE = `
if redis.call("GET", KEYS[1]) == ARGV[1] then redis.call("DEL", KEYS[1]) end`;

/** KEYS: form. ARGV: number, the first form. Never goes back. */
const RAISE = `
if tonumber(redis.call("GET", KEYS[1]) or ARGV[2]) > tonumber(ARGV[1]) then return end
redis.call("SET", KEYS[1], ARGV[1])`;

/** A step that was done; `count`: how much it changed. */
export interface StepDone {
  step: FormStep;
  count: number;
}

export interface MoveOptions {
  /** Told of each step that this process did. */
  onStep?: (done: StepDone) => void;
  /** For tests: the steps of another Sandpiper, and the form that it knows. */
  steps?: readonly FormStep[];
  form?: number;
}

/** The form of what is in Redis; the first one where none is noted. */
export async function readForm(redis: Redis): Promise<number> {
  const text = await redis.get(FORM);
  return text === null ? FIRST_FORM : Number(text);
}

/**
 * Sees that the data is this Sandpiper's to use, and has it be of its form: moves it step by step
 * when it is older, while others that start wait. What a process that ended on the way left undone
 * is done again.
 * @throws SandpiperError DATA_TOO_NEW; SealError when the master keys are not those of this Redis;
 * what a step throws
 */
export async function prepareData(parts: FormParts, options: MoveOptions = {}): Promise<void> {
  const { redis, dataKeys } = parts;
  const { form: wanted = DATA_FORM } = options;
  refuseNewer(await readForm(redis), wanted);
  await dataKeys.verify();
  const token = randomUUID();
  for (;;) {
    const text = await redis.get(FORM);
    if (text === String(wanted)) return;
    refuseNewer(text === null ? FIRST_FORM : Number(text), wanted);
    if ((await redis.set(LOCK, token, "PX", LOCK_MS, "NX")) !== null) break;
    await delay(LOOK_MS);
  }
  const renewal = setInterval(() => void redis.eval(RENEW, 1, LOCK, token, LOCK_MS).catch(() => {}), RENEW_MS);
  try {
    await moveData(parts, options);
  } finally {
    clearInterval(renewal);
    await redis.eval(RELEASE, 1, LOCK, token).catch(() => {});
  }
}

/** @throws SandpiperError DATA_TOO_NEW when this Sandpiper does not know the form of the data */
export async function refuseNewerData(redis: Redis): Promise<void> {
  refuseNewer(await readForm(redis), DATA_FORM);
}

async function moveData(parts: FormParts, options: MoveOptions): Promise<void> {
  const { steps = STEPS, form: wanted = DATA_FORM, onStep } = options;
  const { redis } = parts;
  // Another may have moved it since it was looked at.
  const form = await readForm(redis);
  refuseNewer(form, wanted);
  for (const step of steps.filter(({ from }) => from >= form)) {
    const count = await step.move(parts);
    await redis.eval(RAISE, 1, FORM, step.to, FIRST_FORM);
    onStep?.({ step, count });
  }
}

function refuseNewer(form: number, known: number): void {
  if (form <= known) return;
  const message = `The data in Redis has the form ${form}, as a newer Sandpiper left it, and this one knows forms up to ${known}.`;
  throw new SandpiperError("DATA_TOO_NEW", { message });
}
