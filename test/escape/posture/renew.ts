/**
 * `npm run posture`: makes the posture of sandboxes as they are now the golden one of this
 * machine's version of cgroups. Look at the difference before you commit it: every line of it is a
 * wall that changed.
 */

import { writeGolden } from "./golden.ts";
import { readAllStages } from "./stages.ts";

process.stdout.write(`${writeGolden(await readAllStages())}\n`);
