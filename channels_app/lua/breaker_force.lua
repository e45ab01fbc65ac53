-- Set breakers by hand. Arguments: {now or false, "tripped" or "closed"}. Result: true.

local arguments = cmsgpack.unpack(ARGV[1])
local now = now_ms(arguments[1])
for _, key in ipairs(KEYS) do
  if arguments[2] == 'closed' then
    redis.call('DEL', key)
  else
    local breaker = load(key, now)
    enter(breaker, arguments[2], now)
    save(key, breaker, 0)
  end
end
return cmsgpack.pack(true)
