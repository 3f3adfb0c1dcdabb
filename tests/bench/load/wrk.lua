-- A load for wrk: requests from a template, as fast as the answers come or at a given rate, each answer looked at.
-- What to send and to expect stands in BENCH_ variables (tests/bench/load/wrk.py); the result is a line of JSON.

local ffi = require("ffi")
ffi.cdef [[
    typedef struct { long seconds; long micros; } moment;
    int gettimeofday(moment *, void *);
]]
local moment = ffi.new("moment")

local function clock()
    ffi.C.gettimeofday(moment, nil)
    return tonumber(moment.seconds), tonumber(moment.micros)
end

local function read(path)
    local file = assert(io.open(path, "rb"))
    local content = file:read("*a")
    file:close()
    return content
end

local mark = os.getenv("BENCH_MARK")
local objects = tonumber(os.getenv("BENCH_OBJECTS"))
local rate = tonumber(os.getenv("BENCH_RATE"))
local count = tonumber(os.getenv("BENCH_START"))

-- The template as pieces; `slots` are the places among them that differ from request to request.
local pieces, slots = {}, {}

local function fill()
    local seconds, micros = clock()
    local values = {
        NR = string.format("%06d", count % objects * 7919 % objects), -- a prime: each of them, in no order
        MESSAGE = string.format("bench-%016.0f", count),
        TIME = os.date("!%Y-%m-%dT%H:%M:%S.", seconds) .. string.format("%03dZ", math.floor(micros / 1000)),
    }
    for place, name in pairs(slots) do
        pieces[place] = values[name]
    end
end

function init()
    local template, from = read(os.getenv("BENCH_TEMPLATE")), 1
    while true do
        local first, last, name = template:find("@%-*(%u+)%-*@", from)
        table.insert(pieces, template:sub(from, first and first - 1))
        if not first then
            return
        end
        table.insert(pieces, "")
        slots[#pieces] = name
        from = last + 1
    end
end

function request()
    count = count + 1
    fill()
    return table.concat(pieces)
end

wrong, example = 0, "" -- of this thread; `done` asks for them

function response(status, headers, body)
    if status > 299 or not body:find(mark, 1, true) then
        wrong = wrong + 1
        example = status .. " " .. body:sub(1, 200)
    end
end

-- At a given rate each request has its moment, whether or not an earlier answer is late.
if rate then
    local begun, sent = nil, 0

    function delay()
        local seconds, micros = clock()
        local now = seconds + micros / 1e6
        begun = begun or now
        sent = sent + 1
        return math.max(0, math.floor((begun + sent / rate - now) * 1000 + 0.5))
    end
end

local threads = {}

function setup(thread)
    table.insert(threads, thread)
end

function done(summary, latency, requests)
    local bad, words = 0, ""
    for _, thread in ipairs(threads) do
        bad = bad + thread:get("wrong")
        words = words .. thread:get("example")
    end
    local lost = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
    io.write(string.format(
        '\n{"requests":%d,"seconds":%.6f,"p50_ms":%.3f,"p99_ms":%.3f,"cpu_s":%.6f,"lost":%d,"wrong":%d,"example":"%s"}\n',
        summary.requests, summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
        os.clock(), lost, bad, words:gsub('[%c"\\]', "'")))
end
