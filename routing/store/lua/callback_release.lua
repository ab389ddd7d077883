-- include: base callbacks
-- This node no longer looks after it, and has not begun: another may.
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 id, 3 node
-- Returns  1, or 0 where it does not look after it
local b = load_callback(ARGV[2])
if not b or b.node ~= ARGV[3] or b.state ~= 'waiting' then
  return 0
end
callback_waits(b, '')
return 1
