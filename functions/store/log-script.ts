/**
 * The steps by which Redis keeps entries of logs and records, as one script: each call has one
 * record, and all records together take no more than they may.
 *
 * Records are in heaps: two for each function, of calls that went well and of those that did not,
 * and one of all calls that never reached a worker. When records take too much, the oldest of the
 * largest heap goes. So a busy function, or a flood of refused calls, costs others nothing, and
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
/** Heaps: lists of "<time> <bytes> <id>", latest first; how many bytes each has, and all have. */
const HEAP_PREFIX = "sp:recordheap:";
const HEAPS = "sp:recordheaps";
const TOTAL = "sp:recordbytes";

/** About how many entries a function's stream keeps, and for how long after the last. */
const MAX_STREAM_ENTRIES = 5_000;
const STREAM_KEEP_MS = 7 * 24 * 3_600_000;
/** How long a forgotten record still keeps its invocation from being recorded again. */
const FORGOTTEN_KEEP_MS = 60_000;
/** About what Redis takes for a record beside its text: two keys' worth of bookkeeping. */
const RECORD_OVERHEAD_BYTES = 300;
/** Most old records that go in one run for their age. Redis does nothing else meanwhile. */
const MAX_EXPIRED_PER_RUN = 64;

/** One run of so many looks at a heap for what has expired. */
const RUNS_A_LOOK = 8;

/**
 * First character of a record of a gateway's: it stands until a worker, which knows better, has one
 * of the same call.
 */
export const PROVISIONAL = "?";

/**
 * KEYS: stream. ARGV: the function's name, ms that records are kept, bytes that they may take, then
 * the entries, each a kind, an id or nothing, and a text. Gives 1 for each that was written now,
 * and 0 for each whose invocation had a record.
 *
 * A record that makes way leaves an empty text for a while, so that a second record of the same
 * invocation is still refused, and costs next to nothing. One run of some also looks at one heap by
 * chance, so that what has expired is not counted for ever.
 */
export const WRITE = `
local name, keepMs, maxBytes = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call("TIME")
local nowMs = time[1] * 1000 + math.floor(time[2] / 1000)

local function pop(heap)
  local item = redis.call("RPOP", "${HEAP_PREFIX}" .. heap)
  if not item then
    redis.call("DECRBY", "${TOTAL}", redis.call("ZSCORE", "${HEAPS}", heap) or 0)
    redis.call("ZREM", "${HEAPS}", heap)
    return
  end
  local bytes, id = string.match(item, "^%d+ (%d+) (.+)$")
  local key = "${RECORD_PREFIX}" .. id
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

local pushed, added = {}, {}

local function keep(kind, id, text)
  local key = "${RECORD_PREFIX}" .. id
  local new = redis.call("SET", key, text, "NX", "PX", keepMs)
  if not new and kind ~= "unrun" and redis.call("GETRANGE", key, 0, 0) == "${PROVISIONAL}" then
    new = redis.call("SET", key, text, "PX", keepMs)
  end
  if not new then return false end
  local heap = kind == "unrun" and kind or name .. ":" .. kind
  local bytes = #text + ${RECORD_OVERHEAD_BYTES}
  pushed[heap] = pushed[heap] or {}
  table.insert(pushed[heap], nowMs .. " " .. bytes .. " " .. id)
  added[heap] = (added[heap] or 0) + bytes
  return true
end

local written, told = {}, false
for at = 4, #ARGV, 3 do
  local kind, id, text = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local new = kind == "line" or keep(kind, id, text)
  if new and kind ~= "unrun" then
    redis.call("XADD", KEYS[1], "*", kind == "line" and "l" or "e", text)
    told = true
  end
  written[#written + 1] = new and 1 or 0
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
