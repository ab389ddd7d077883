-- include: base callback_shown
-- KEYS[1]  prefix of the site
-- ARGV     1 queue, 2 how many at most
-- Returns  the oldest first, each as callback_shown has it
local found = {}
for _, id in ipairs(rc('ZRANGE', K .. 'cbq:' .. ARGV[1], 0, ARGV[2] - 1)) do
  found[#found + 1] = callback_shown(id)
end
return found
