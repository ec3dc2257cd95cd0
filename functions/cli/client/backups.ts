/** Backup files between a gateway and this machine. */
import { randomUUID } from "node:crypto";
import { MIB } from "../../../infra/std/bytes.ts";
import { type RestoredInfo, restoredSchema, uploadedSchema } from "../../api/backup.ts";
import { readBackup } from "../../model/backup/contents.ts";
import { type BackupSummary, SummaryCounter } from "../../model/backup/summary.ts";
import { SandpiperError } from "../../model/errors.ts";
import { CliError, messageOf, systemCodeOf } from "../failure.ts";
import type { Gateway } from "./gateway.ts";

/** As much as a gateway takes at once. */
const PART_BYTES = 8 * MIB;

/**
 * Reads a backup to its end.
 * @param take gets each piece before it is looked at
 * @returns what is in it, when it is whole
 * @throws CliError BACKUP_INVALID; what the source and `take` throw
 */
export async function passBackup(
  source: AsyncIterable<Uint8Array>,
  take: (piece: Uint8Array) => Promise<void> = async () => {},
): Promise<BackupSummary> {
  const counter = new SummaryCounter();
  try {
    for await (const item of readBackup(taken(source, take))) counter.note(item);
  } catch (error) {
    if (!(error instanceof SandpiperError)) throw error;
    throw new CliError("internal", error.message, {
      code: error.code,
      hint: "take another file: this one is of no use",
    });
  }
  return counter.summary;
}

async function* taken(source: AsyncIterable<Uint8Array>, take: (piece: Uint8Array) => Promise<void>) {
  for await (const piece of source) {
    await take(piece);
    yield piece;
  }
}

/** Has the gateway make a backup. @throws CliError ANSWER_BROKE_OFF when it ends before its end */
export async function* madeBackup(gateway: Gateway): AsyncGenerator<Uint8Array> {
  const body = await gateway.bytes("POST", "/v1/backup");
  try {
    yield* body as AsyncIterable<Uint8Array>;
  } catch (error) {
    if (error instanceof CliError) throw error;
    const message = `the backup broke off: ${systemCodeOf(error) ?? messageOf(error)}`;
    throw new CliError("unavailable", message, { code: "ANSWER_BROKE_OFF", cause: error });
  } finally {
    body.destroy();
  }
}

export interface RestoreWish {
  replace: boolean;
  withoutSecrets: boolean;
}

/** Sends a file in parts, and has it restored. */
export class Upload {
  readonly #gateway: Gateway;
  readonly #path = `/v1/restores/${randomUUID()}`;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #sentBytes = 0;

  constructor(gateway: Gateway) {
    this.#gateway = gateway;
  }

  /** Takes the next bytes of the file. */
  async add(piece: Uint8Array): Promise<void> {
    for (let from = 0; from < piece.byteLength; ) {
      const part = piece.subarray(from, from + PART_BYTES - this.#heldBytes);
      this.#held.push(part);
      this.#heldBytes += part.byteLength;
      from += part.byteLength;
      if (this.#heldBytes === PART_BYTES) await this.#send();
    }
  }

  /** Has all of it restored. @throws CliError with the gateway's code */
  async restore({ replace, withoutSecrets }: RestoreWish): Promise<RestoredInfo> {
    if (this.#heldBytes > 0) await this.#send();
    const query = `replace=${replace ? 1 : 0}&withoutSecrets=${withoutSecrets ? 1 : 0}`;
    return this.#gateway.ask(restoredSchema, "POST", `${this.#path}?${query}`);
  }

  /** Has the gateway forget what was sent; leaves it to time when that fails. */
  async drop(): Promise<void> {
    await this.#gateway.tell("DELETE", this.#path).catch(() => {});
  }

  async #send(): Promise<void> {
    const part = Buffer.concat(this.#held);
    [this.#held, this.#heldBytes] = [[], 0];
    const { bytes } = await this.#gateway.ask(uploadedSchema, "PUT", `${this.#path}?at=${this.#sentBytes}`, part);
    this.#sentBytes = bytes;
  }
}
