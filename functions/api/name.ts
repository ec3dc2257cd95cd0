/** The shape of a function's name in a path. */
import { z } from "zod";
import { NAME_PATTERN } from "../model/manifest.ts";

/** A function's name in a path. */
export const nameParam = z.object({
  name: z
    .string()
    .regex(NAME_PATTERN, "1 to 63 of a-z, 0-9 and '-', neither first nor last a '-'")
    .meta({ example: "hello" }),
});
