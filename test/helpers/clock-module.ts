/**
 * A module that a process under test loads before its own code (node --import): its clock is wrong
 * by so many milliseconds, given by the process's main file as in `?worker=31000&gateway=-31000`.
 */
const { searchParams } = new URL(import.meta.url);
const main = process.argv[1] ?? "";
const [, offset = "0"] = [...searchParams].find(([name]) => main.includes(name)) ?? [];
const right = Date.now.bind(Date);

Date.now = () => right() + Number(offset);
