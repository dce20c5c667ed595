-- wrk's script: posts the signed bodies in turn, each request with an event id of its own in a
-- header that is not signed. With STATUSES it tells answers apart; with REPLIES also those that say
-- what the handler of one of the bodies has to say.
local bodies = dofile(os.getenv("BODIES"))
local mark, heads, tails, replies = "@@@@@@@@@@", {}, {}, {}

function init()
  for n, event in ipairs(bodies) do
    local request = wrk.format("POST", nil, {
      ["Content-Type"] = "application/json", ["User-Agent"] = "hotglue",
      ["X-Hub-Signature"] = event.signature, ["X-Event-Id"] = mark,
    }, event.body)
    local first, last = request:find(mark, 1, true)
    heads[n], tails[n] = request:sub(1, first - 1), request:sub(last + 1)
    replies[event.reply] = true
  end
end

-- Ids differ from run to run: a server that saw them before would skip the work.
local random = io.open("/dev/urandom", "rb")
local a, b, c, d = random:read(4):byte(1, 4)
random:close()
local salt, sent = ((a * 256 + b) * 256 + c) * 256 + d, 0

function request()
  sent = sent + 1
  local n = sent % #bodies + 1
  return heads[n] .. string.format("%d-%d", salt, sent) .. tails[n]
end

local sender
statuses = {}

function setup(thread)
  sender = thread
end

if os.getenv("REPLIES") then
  function response(status, headers, body)
    local key = status .. (replies[body] and ", right" or ", wrong")
    statuses[key] = (statuses[key] or 0) + 1
  end
elseif os.getenv("STATUSES") then
  function response(status, headers)
    local key = status .. ((headers["Retry-After"] or headers["retry-after"]) and " with Retry-After" or "")
    statuses[key] = (statuses[key] or 0) + 1
  end
end

function done(summary, latency)
  local errors = summary.errors
  for status, count in pairs(sender:get("statuses")) do
    io.write(string.format("STATUS %d %s\n", count, status))
  end
  io.write(string.format(
    'RESULT {"requests":%d,"seconds":%f,"refused":%d,"broken":%d,"p50":%.2f,"p99":%.2f,"max":%.2f}\n',
    summary.requests, summary.duration / 1e6, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
