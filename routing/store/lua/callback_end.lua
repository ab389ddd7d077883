-- include: base callbacks
-- The customer was reached (by the node that calls), or is not to be called (by anybody, before it is made).
-- KEYS[1]  prefix of the site
-- ARGV     1 now, 2 id, 3 done or cancelled, 4 node that ends it, or ''
-- Returns  1, 0 where it is not known, -1 where it is being made
local b = load_callback(ARGV[2])
if not b or (ARGV[3] == 'done' and (b.node ~= ARGV[4] or b.state ~= 'making')) then
  return 0
end
if ARGV[3] ~= 'done' then
  if b.state == 'making' then
    return -1
  end
  if b.node ~= ARGV[4] then
    tell_callback_over(b, ARGV[3])
  end
end
end_callback(tonumber(ARGV[1]), b, ARGV[3])
return 1
