/**
 * Keeps modules from being loaded that take a third of a command's time and that no command needs:
 * zod loads its messages in all languages, although it speaks English.
 */
import { registerHooks } from "node:module";

const LANGUAGES = "../locales/index.js";
const ZOD = /\/node_modules\/zod\//;
const NOTHING = "data:text/javascript,";

registerHooks({
  resolve(specifier, context, next) {
    const isLanguages = specifier === LANGUAGES && ZOD.test(context.parentURL ?? "");
    return isLanguages ? { url: NOTHING, format: "module", shortCircuit: true } : next(specifier, context);
  },
});
