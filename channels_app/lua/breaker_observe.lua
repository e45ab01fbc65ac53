-- Take in what requests came to, and open or close breakers by it.
--
-- Arguments: {now or false, {{results, consecutive_failures, failure_rate, min_calls, window_ms,
--   cooldown_ms, longest_pause_ms}, ...}}, one for each key. `results` in their order: S success,
--   F failure, - neither.
-- Result: for each key {old state, new state, wait_ms}, or false where the state is the same.

local arguments = cmsgpack.unpack(ARGV[1])
local now = now_ms(arguments[1])

local function open(breaker, rules)
  local pause = math.min(rules.cooldown_ms * 2 ^ math.min(breaker.trips, 30), rules.longest_pause_ms)
  local trips = breaker.trips + 1
  enter(breaker, 'open', now)
  breaker.trips, breaker.until_ = trips, now + pause
end

local function count(breaker, rules, success)
  local slice = math.floor(now / (rules.window_ms / SLICES))
  local latest = breaker.window[#breaker.window]
  if not latest or latest[1] ~= slice then
    latest = { slice, 0, 0 }
    table.insert(breaker.window, latest)
  end
  while breaker.window[1][1] <= slice - SLICES or breaker.window[1][1] > slice do
    table.remove(breaker.window, 1)
  end
  local column = success and 2 or 3
  latest[column] = latest[column] + 1
  breaker.failed = success and 0 or breaker.failed + 1
end

local function has_failed(breaker, rules)
  if breaker.failed >= rules.consecutive_failures then
    return true
  end
  local successes, failures = 0, 0
  for _, slice in ipairs(breaker.window) do
    successes, failures = successes + slice[2], failures + slice[3]
  end
  local calls = successes + failures
  return calls >= rules.min_calls and failures >= rules.failure_rate * calls
end

local function take_in(breaker, rules, result)
  if breaker.state == 'closed' then
    if result ~= '-' then
      count(breaker, rules, result == 'S')
      if result == 'F' and has_failed(breaker, rules) then
        open(breaker, rules)
      end
    end
  elseif breaker.state == 'half_open' then
    if result == 'S' then
      enter(breaker, 'closed', now)
      breaker.trips = 0
    elseif result == 'F' then
      open(breaker, rules)
    else
      breaker.until_ = now -- the probe said nothing: the next one may go
    end
  end
  -- What comes in while it is open was sent before it opened, and says nothing new.
end

return each(#KEYS, function(at)
  local key, given = KEYS[at], arguments[2][at]
  local rules = {
    consecutive_failures = given[2], failure_rate = given[3], min_calls = given[4], window_ms = given[5],
    cooldown_ms = given[6], longest_pause_ms = given[7],
  }
  local breaker = load(key, now)
  local before = breaker.state
  for result in string.gmatch(given[1], '.') do
    take_in(breaker, rules, result)
  end
  if breaker.state ~= 'open' or before ~= 'open' then
    save(key, breaker, rules.window_ms + 2 * rules.longest_pause_ms)
  end
  return breaker.state ~= before and { before, breaker.state, math.max(0, breaker.until_ - now) }
end)
