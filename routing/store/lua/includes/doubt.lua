-- include: base site
-- A server that began anew may lack what it was told last. Until each node that may know better has said its
-- calls again nobody is reserved: `doubt` holds those nodes, and `g:` among what is due ends it at the latest.
local function doubt_of(node)
  rc('SADD', K .. 'doubt', node)
  set_odd('doubt', '1')
end

local function end_doubt()
  rc('DEL', K .. 'doubt')
  set_odd('doubt', nil)
  not_due('g:')
end

local function in_doubt()
  return odd().doubt ~= nil
end

-- What a word about a reservation is answered that is not in force.
local function not_in_force()
  return in_doubt() and IN_DOUBT or STALE_TOKEN
end
