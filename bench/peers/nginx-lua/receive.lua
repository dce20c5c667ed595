local redis = require "nginx.redis"

ngx.req.read_body()
local body = ngx.req.get_body_data() or ""
local want = ngx.hmac_sha1(os.getenv("SECRET"), body):gsub(".", function(c)
  return string.format("%02x", c:byte())
end)
local got = ngx.var.http_x_hub_signature or ""
if #got ~= #want then return ngx.exit(401) end
local differ = 0
for i = 1, #want do differ = bit.bor(differ, bit.bxor(got:byte(i), want:byte(i))) end
if differ ~= 0 then return ngx.exit(401) end

local queue = redis:new()
queue:set_timeout(5000)
if not queue:connect("127.0.0.1", tonumber(os.getenv("REDIS_PORT"))) then return ngx.exit(503) end
if not queue:lpush("q", body) then return ngx.exit(503) end
queue:set_keepalive(60000, 64)
ngx.print("ok")
