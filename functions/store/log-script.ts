/**
 * The steps by which Redis keeps entries of logs and records, as one script: each call has one
 * record, and all records together take no more than they may.
 *
 * A call that failed, or never reached a worker, has a key. Calls that went well are many, and a
 * command for each would be most of what a call costs Redis, so they are written together: in
 * hashes by the beginnings of their ids, and with one entry in their function's stream. Ids begin
 * with the time, so calls of one moment share a hash; any other id is only less well packed.
 *
 * Records are in heaps: two for each function, of calls that went well and of those that did not,
 * and one of all calls that never reached a worker. When records take too much, the oldest of the
 * largest heap go. So a busy function, or a flood of refused calls, costs others nothing, and
 * failures outlive the many calls that went well.
 */

/** How long records are kept, and most bytes that all of them may take in Redis. */
export interface RecordLimits {
  keepMs: number;
  maxBytes: number;
}

/** A record, by the heap that it goes to, or a line of a log. */
export type EntryKind = "line" | "ok" | "failed" | "unrun";

export const RECORD_PREFIX = "sp:record:";
/** Hashes of calls that went well: text by id. */
const HASH_PREFIX = "sp:records:";
/** Characters of an id that name its hash: calls of a quarter of a second have the same. */
const HASH_NAME_LENGTH = 11;
/** Sets of calls that went well and were forgotten in one minute. */
const GONE_PREFIX = "sp:recordsgone:";
/**
 * Heaps: lists of "<time> <bytes> <id> <id> ...", latest first, where only calls that went well are
 * several; how many bytes each has, and all have.
 */
export const HEAP_PREFIX = "sp:recordheap:";
export const HEAPS = "sp:recordheaps";
export const TOTAL = "sp:recordbytes";

/** About how many entries a function's stream keeps, and for how long after the last. */
const MAX_STREAM_ENTRIES = 5_000;
const STREAM_KEEP_MS = 7 * 24 * 3_600_000;
/** How long a forgotten record still keeps its invocation from being recorded again. */
const FORGOTTEN_KEEP_MS = 60_000;
/** About what Redis takes for a record beside its text: for its key, or its field and its hash. */
const RECORD_OVERHEAD_BYTES = { key: 300, field: 170, hash: 220 };
/** Most old records that go in one run for their age. Redis does nothing else meanwhile. */
const MAX_EXPIRED_PER_RUN = 64;

/** One run of so many looks at a heap for what has expired. */
const RUNS_A_LOOK = 8;

/**
 * First character of a record of a gateway's: it stands until a worker, which knows better, has one
 * of the same call.
 */
export const PROVISIONAL = "?";

/** Name of the hash that has the record of this call, if the call went well. */
export const hashOf = (id: string): string => HASH_PREFIX + id.slice(0, HASH_NAME_LENGTH);

/**
 * KEYS: stream. ARGV: the function's name, ms that records are kept, bytes that they may take, then
 * the entries, each a kind, an id or nothing, and a text. Gives 1 for each that was written now,
 * and 0 for each whose invocation had a record.
 *
 * Fields of the stream's entries: "l" a line, "e" the record of a call that failed, "o" the ids of
 * calls that went well, behind the lines that were written with them.
 *
 * A record that makes way leaves an empty text or its id for a while, so that a second record of
 * the same invocation is still refused, and costs next to nothing. One run of some also looks at
 * one heap by chance, so that what has expired is not counted for ever.
 */
export const WRITE = `
local name, keepMs, maxBytes = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call("TIME")
local nowMs = time[1] * 1000 + math.floor(time[2] / 1000)
local minute = math.floor(time[1] / 60)

local function hashes(ids)
  local found = {}
  for _, id in ipairs(ids) do
    local hash = "${HASH_PREFIX}" .. string.sub(id, 1, ${HASH_NAME_LENGTH})
    found[hash] = found[hash] or {}
    table.insert(found[hash], id)
  end
  return found
end

local function forget(ids)
  for hash, own in pairs(hashes(ids)) do redis.call("HDEL", hash, unpack(own)) end
  redis.call("SADD", "${GONE_PREFIX}" .. minute, unpack(ids))
  redis.call("PEXPIRE", "${GONE_PREFIX}" .. minute, 60000 + ${FORGOTTEN_KEEP_MS})
end

local function pop(heap)
  local item = redis.call("RPOP", "${HEAP_PREFIX}" .. heap)
  if not item then
    redis.call("DECRBY", "${TOTAL}", redis.call("ZSCORE", "${HEAPS}", heap) or 0)
    redis.call("ZREM", "${HEAPS}", heap)
    return
  end
  local bytes, rest = string.match(item, "^%d+ (%d+) (.+)$")
  local ids = {}
  for id in string.gmatch(rest, "%S+") do ids[#ids + 1] = id end
  local key = "${RECORD_PREFIX}" .. ids[1]
  if string.sub(heap, -3) == ":ok" then forget(ids) end
  if heap ~= "unrun" then
    redis.call("SET", key, "", "XX", "PX", ${FORGOTTEN_KEEP_MS})
  elseif redis.call("GETRANGE", key, 0, 0) == "${PROVISIONAL}" then
    redis.call("DEL", key)
  end
  redis.call("DECRBY", "${TOTAL}", bytes)
  redis.call("ZINCRBY", "${HEAPS}", -bytes, heap)
end

local function expire(heap)
  for _ = 1, ${MAX_EXPIRED_PER_RUN} do
    local item = redis.call("LINDEX", "${HEAP_PREFIX}" .. heap, -1)
    if item and tonumber(string.match(item, "^%d+")) > nowMs - keepMs then return end
    pop(heap)
    if not item then return end
  end
end

-- What there is of these calls: the text of a key, and whether a hash has or had the record.
local ids, keys, held, known = {}, {}, {}, {}
for at = 4, #ARGV, 3 do
  if ARGV[at] ~= "line" then
    ids[#ids + 1] = ARGV[at + 1]
    keys[#keys + 1] = "${RECORD_PREFIX}" .. ARGV[at + 1]
  end
end
if #ids > 0 then
  for at, text in ipairs(redis.call("MGET", unpack(keys))) do held[ids[at]] = text end
  for hash, own in pairs(hashes(ids)) do
    for at, text in ipairs(redis.call("HMGET", hash, unpack(own))) do known[own[at]] = text and true end
  end
  for past = 0, 1 do
    local gone = "${GONE_PREFIX}" .. minute - past
    for at, is in ipairs(redis.call("SMISMEMBER", gone, unpack(ids))) do
      if is == 1 then known[ids[at]] = true end
    end
  end
end

local pushed, added, well, texts = {}, {}, {}, {}

local function push(heap, bytes, rest)
  pushed[heap] = pushed[heap] or {}
  table.insert(pushed[heap], nowMs .. " " .. bytes .. " " .. rest)
  added[heap] = (added[heap] or 0) + bytes
end

local function keep(kind, id, text)
  local before = held[id]
  local isProvisional = before and string.sub(before, 1, 1) == "${PROVISIONAL}"
  if known[id] or (before and not (isProvisional and kind ~= "unrun")) then return false end
  local key = "${RECORD_PREFIX}" .. id
  if kind == "ok" then
    if before then redis.call("DEL", key) end
    known[id] = true
    well[#well + 1] = id
    texts[id] = text
    return true
  end
  redis.call("SET", key, text, "PX", keepMs)
  held[id] = text
  push(kind == "unrun" and kind or name .. ":" .. kind, #text + ${RECORD_OVERHEAD_BYTES.key}, id)
  return true
end

local written, told = {}, false
for at = 4, #ARGV, 3 do
  local kind, id, text = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local new = kind == "line" or keep(kind, id, text)
  if new and (kind == "line" or kind == "failed") then
    redis.call("XADD", KEYS[1], "*", kind == "line" and "l" or "e", text)
    told = true
  end
  written[#written + 1] = new and 1 or 0
end
if #well > 0 then
  local bytes = 0
  for hash, own in pairs(hashes(well)) do
    if redis.call("EXISTS", hash) == 0 then bytes = bytes + ${RECORD_OVERHEAD_BYTES.hash} end
    local all = {}
    for _, id in ipairs(own) do
      all[#all + 1] = id
      all[#all + 1] = texts[id]
      bytes = bytes + #texts[id] + ${RECORD_OVERHEAD_BYTES.field}
    end
    redis.call("HSET", hash, unpack(all))
    redis.call("PEXPIRE", hash, keepMs)
  end
  local list = table.concat(well, " ")
  push(name .. ":ok", bytes, list)
  redis.call("XADD", KEYS[1], "*", "o", list)
  told = true
end
if told then
  redis.call("XTRIM", KEYS[1], "MAXLEN", "~", ${MAX_STREAM_ENTRIES})
  redis.call("PEXPIRE", KEYS[1], ${STREAM_KEEP_MS})
end
for heap, items in pairs(pushed) do
  redis.call("LPUSH", "${HEAP_PREFIX}" .. heap, unpack(items))
  redis.call("PEXPIRE", "${HEAP_PREFIX}" .. heap, keepMs)
  redis.call("ZINCRBY", "${HEAPS}", added[heap], heap)
  redis.call("INCRBY", "${TOTAL}", added[heap])
end
if time[2] % ${RUNS_A_LOOK} == 0 then
  local heap = redis.call("ZRANDMEMBER", "${HEAPS}")
  if heap then expire(heap) end
end
for _ = 1, 2 * #written + 16 do
  if tonumber(redis.call("GET", "${TOTAL}") or 0) <= maxBytes then break end
  local largest = redis.call("ZREVRANGE", "${HEAPS}", 0, 0)[1]
  if not largest then redis.call("DEL", "${TOTAL}") break end
  pop(largest)
end
return written`;
