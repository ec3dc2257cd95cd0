/** Advice about imports that cannot be bundled: data, and sentences made of it. */

/** Packages that AWS Lambda brings with its runtime, so that functions for it do not name them. */
const OF_LAMBDA = /^(?:aws-sdk|@aws-sdk\/|@smithy\/|aws-xray-sdk|@aws-lambda-powertools\/|aws-lambda$)/;

/**
 * Packages whose work is done by native code, and one without that does the same; null where there
 * is none.
 */
const NATIVE_PACKAGES: Record<string, string | null> = {
  "@mongodb-js/zstd": "node:zlib, which has zstd",
  "@node-rs/argon2": "hash-wasm",
  "@node-rs/bcrypt": "bcryptjs",
  "@parcel/watcher": null,
  "@resvg/resvg-js": "@resvg/resvg-wasm",
  "@swc/core": "@swc/wasm",
  argon2: "hash-wasm",
  bcrypt: "bcryptjs",
  "better-sqlite3": "node:sqlite",
  canvas: "@resvg/resvg-wasm, which draws SVG",
  "classic-level": "memory-level",
  esbuild: "esbuild-wasm",
  farmhash: "farmhash-modern",
  iltorb: "node:zlib, which has Brotli",
  leveldown: "memory-level",
  libxmljs: "@xmldom/xmldom with xpath",
  libxmljs2: "@xmldom/xmldom with xpath",
  lightningcss: "lightningcss-wasm",
  "node-sass": "sass",
  "pg-native": "pg",
  playwright: null,
  puppeteer: null,
  re2: "re2-wasm",
  rollup: "@rollup/wasm-node",
  sharp: "@jsquash/jpeg, @jsquash/png and @jsquash/resize",
  snappy: "snappyjs",
  "sodium-native": "libsodium-wrappers",
  sqlite3: "node:sqlite",
  zeromq: null,
};

/** Packages that use native code where they find it, and go on without. */
const NEED_NO_ADDON = new Set(["bufferutil", "utf-8-validate", "cpu-features", "ssh2", "msgpackr-extract", "fsevents"]);

/** Signs of native addons: install scripts, and packages that they depend on. */
const BUILDS_ADDON = /\b(?:node-gyp|prebuild-install|node-pre-gyp|cmake-js|prebuildify)\b/;
const LOADS_ADDON = ["bindings", "node-gyp-build", "prebuild-install", "@mapbox/node-pre-gyp", "node-addon-api"];
const FOR_A_PLATFORM = /(?:linux|darwin|win32)-(?:x64|arm64)/;

/** The package that a file below node_modules belongs to, or null. */
export function packageNameIn(file: string): string | null {
  return /.*[\\/]node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+)/.exec(file)?.[1]?.replaceAll("\\", "/") ?? null;
}

/** Whether a package that imports an addon cannot do without. */
export function needsAddon(name: string): boolean {
  return !NEED_NO_ADDON.has(name);
}

/** Whether a package's package.json says that it does its work by native code. */
export function isNative(name: string, manifest: unknown): boolean {
  if (!needsAddon(name)) return false;
  if (Object.hasOwn(NATIVE_PACKAGES, name)) return true;
  const { gypfile, scripts, dependencies, optionalDependencies } = (manifest ?? {}) as Record<string, unknown>;
  if (gypfile === true || BUILDS_ADDON.test(String((scripts as Record<string, unknown> | undefined)?.install)))
    return true;
  if (Object.keys(Object(dependencies)).some((dependency) => LOADS_ADDON.includes(dependency))) return true;
  return Object.keys(Object(optionalDependencies)).some((dependency) => FOR_A_PLATFORM.test(dependency));
}

/** Says of a package with native code what to use instead. */
export function nativeAdvice(name: string): string {
  const other = Object.hasOwn(NATIVE_PACKAGES, name) ? NATIVE_PACKAGES[name] : undefined;
  const remedy =
    other === undefined
      ? "look for a package that does the same in JavaScript or WebAssembly"
      : other === null
        ? "there is nothing that does the same without"
        : `use ${other}`;
  return `"${name}" has native code, which no sandbox loads: ${remedy}`;
}

/** The message of the error where an addon is loaded. */
export function addonError(path: string, packageName: string | null): string {
  const advice = packageName === null ? "" : ` ${nativeAdvice(packageName)}.`;
  return `The native addon ${path} cannot be loaded in a sandbox.${advice}`;
}

/** Why an import of something by a scheme is refused, and what to write instead. */
export function urlAdvice(specifier: string): string {
  const [, scheme, rest = ""] = /^([a-z]+):(.*)$/.exec(specifier) ?? [];
  const name = /^\/*((?:@[^/@]+\/)?[^/@]+)/.exec(rest)?.[1] ?? rest;
  if (scheme === "npm")
    return `"${specifier}" is Deno's way to name a package: run npm install ${name}, and import "${name}"`;
  if (scheme === "jsr")
    return `"${specifier}" is Deno's way to name a package of JSR: run npx jsr add ${name}, and import "${name}"`;
  if (scheme === "bun" || scheme === "deno")
    return `"${specifier}" is a module of ${scheme}'s own, and functions run on Node 24`;
  return `"${specifier}" is not fetched: install the package from npm and import it by its name, or keep a copy of the file beside yours`;
}

/** Advice about a package that was not found; null when nothing is known of it. */
export function missingAdvice(specifier: string): string | null {
  if (specifier.startsWith("/opt/"))
    return "It is in a layer of AWS Lambda. Keep its files beside the function's own, and import them from there.";
  if (!OF_LAMBDA.test(specifier)) return null;
  return `AWS Lambda has it in its runtime, and Sandpiper has not. Install it, so that it is bundled: npm install ${packageOf(specifier)}`;
}

/** "@scope/name" of "@scope/name/sub". */
export function packageOf(specifier: string): string {
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}
