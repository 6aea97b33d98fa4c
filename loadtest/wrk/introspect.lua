-- Introspections, RFC 7662, of tokens from a file with one token a line, chosen in turn.
--
--   TOKENS=tokens.txt CLIENT_ID=demo-api CLIENT_SECRET=demo-api-secret \
--     wrk -t1 -c64 -d10s --latency -s introspect.lua http://127.0.0.1:4444/oauth2/introspect
--
-- A file of 1,000 tokens, with curl and jq:
--
--   for i in $(seq 1000); do
--     curl -s http://127.0.0.1:4444/oauth2/token -d grant_type=client_credentials \
--       -d client_id=demo -d client_secret=demo-secret | jq -r .access_token
--   done > tokens.txt

local function encoded(text)
  return (text:gsub("[^%w%-%._~]", function(c) return string.format("%%%02X", c:byte()) end))
end

local requests = {}
local at = 0
inactive = 0 -- global: `done` reads it from each thread
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
  local credential = "&client_id=" .. encoded(os.getenv("CLIENT_ID") or "demo-api")
    .. "&client_secret=" .. encoded(os.getenv("CLIENT_SECRET") or "demo-api-secret")
  for token in io.lines(os.getenv("TOKENS") or "tokens.txt") do
    if #token > 0 then
      table.insert(requests, wrk.format(nil, nil, nil, "token=" .. encoded(token) .. credential))
    end
  end
  if #requests == 0 then
    error("TOKENS names no file with a token a line")
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function response(status, headers, body)
  if not body:find('"active"%s*:%s*true') then
    inactive = inactive + 1
  end
end

function done(summary, latency, requests)
  local sum = 0
  for _, thread in ipairs(threads) do
    sum = sum + (thread:get("inactive") or 0)
  end
  io.write(string.format("answers that were not active: %d\n", sum))
end
