-- Use tickets, each once. Arguments: seconds for which that is remembered. Result: for each key whether this was the
-- first time.

local remembered_s = cmsgpack.unpack(ARGV[1])

return each(#KEYS, function(at)
  return redis.call('SET', KEYS[at], '1', 'NX', 'EX', remembered_s) ~= false
end)
