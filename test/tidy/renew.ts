/** `npm run tests-by-source`: writes the table "tests by source" of HACKING.md. */
import { writeFileSync } from "node:fs";
import { testsBySource, withTestsBySource } from "./tests-by-source.ts";
import { atRoot, readText, sources } from "./tree.ts";

writeFileSync(atRoot("HACKING.md"), withTestsBySource(readText("HACKING.md"), testsBySource(sources)));
