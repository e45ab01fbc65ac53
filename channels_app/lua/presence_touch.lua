-- Say of connections that they are there, or not any more. Of each recipient two sorted sets are kept: all connections,
-- and those that somebody looks at; the score is when a connection counts as gone, in seconds since 1970.
--
-- Arguments: {ttl_s, grace_s, {{connection, "on" | "focused" | "leaving" | "gone"}, ...}}; two keys for each.
-- Result: for each true.

local ttl_s, grace_s, connections = unpack(cmsgpack.unpack(ARGV[1]))
local now = tonumber(redis.call('TIME')[1])

return each(#connections, function(at)
  local name, state = unpack(connections[at])
  local there, focused = KEYS[2 * at - 1], KEYS[2 * at]
  if state == 'gone' then
    redis.call('ZREM', there, name)
  else
    redis.call('ZADD', there, now + (state == 'leaving' and grace_s or ttl_s), name)
  end
  if state == 'focused' then
    redis.call('ZADD', focused, now + ttl_s, name)
    redis.call('EXPIRE', focused, ttl_s)
  else
    redis.call('ZREM', focused, name)
  end
  redis.call('ZREMRANGEBYSCORE', there, '-inf', now)
  redis.call('EXPIRE', there, ttl_s)
  return true
end)
