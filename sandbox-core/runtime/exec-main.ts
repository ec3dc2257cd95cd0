/**
 * The runtime as a plain process, for the launcher that forks nothing: the wire is descriptor 3.
 */
import "./own-names.ts";

const { prepareRuntime } = await import("./main.ts");
prepareRuntime(null)(3);
