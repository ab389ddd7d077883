-- include: base callbacks
-- The customer was not reached.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 id, 3 node, 4 number of the attempt, 5 why
-- Returns  resting, failed or expired; '' where that attempt is not under way
local now, b = tonumber(ARGV[1]), load_callback(ARGV[2])
if not b or not attempt_stands(now, b, ARGV[3], tonumber(ARGV[4])) then
  return ''
end
return attempt_failed(now, b, ARGV[5])
