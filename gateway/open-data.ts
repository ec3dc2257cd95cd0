/** A gateway's first look at what is in Redis. */
import { SealError } from "../functions/secrets/cipher.ts";
import { prepareData } from "../functions/store/form/data-form.ts";
import type { FormParts } from "../functions/store/form/form-steps.ts";
import type { Logger } from "../infra/log.ts";
import { unfitOn } from "../infra/master-keys.ts";
import { unfitOnCode } from "../infra/service.ts";

/**
 * Has the data be of this Sandpiper's form, and says what was changed.
 * @throws UnfitError when it is newer, or the master keys are not those of this Redis
 */
export async function openData(parts: FormParts, log: Logger): Promise<void> {
  const onStep: Parameters<typeof prepareData>[1] = {
    onStep({ step: { from, to, what }, count }) {
      if (count > 0) log.warn("data of an older Sandpiper was moved to a newer form", { from, to, what, count });
    },
  };
  await prepareData(parts, onStep).catch(unfitOn(SealError)).catch(unfitOnCode("DATA_TOO_NEW"));
}
