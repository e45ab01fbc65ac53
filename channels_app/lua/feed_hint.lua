-- Tell the live processes. Arguments: {length of a stream, {{place of the stream in KEYS, {field, value, ...}}, ...}}.
-- Result: for each entry true.

local arguments = cmsgpack.unpack(ARGV[1])
return each(#arguments[2], function(at)
  local place, fields = unpack(arguments[2][at])
  redis.call('XADD', KEYS[place], 'MAXLEN', '~', arguments[1], '*', unpack(fields))
  return true
end)
