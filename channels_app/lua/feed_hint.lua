-- Tell the live processes. Arguments: {length of a stream, {{place of the stream in KEYS, {field, value, ...}}, ...}}.
-- Result: for each entry true.
--
-- A stream that is not there was lost, by a flush or a restart, and with it perhaps what nobody had read yet. Whoever
-- writes into it first says so: a reader that waits all the time would not notice that it is another one.

local arguments = cmsgpack.unpack(ARGV[1])
for _, stream in ipairs(KEYS) do
  if redis.call('EXISTS', stream) == 0 then
    redis.call('XADD', stream, '*', 'u', '*', 'k', 'lost')
  end
end
return each(#arguments[2], function(at)
  local place, fields = unpack(arguments[2][at])
  redis.call('XADD', KEYS[place], 'MAXLEN', '~', arguments[1], '*', unpack(fields))
  return true
end)
