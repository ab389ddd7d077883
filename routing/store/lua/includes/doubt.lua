-- include: base
-- A server that began anew may lack what it was told last. Until each node that may know better has said its
-- calls again nobody is reserved: `doubt` holds those nodes, and `g:` among what is due ends it at the latest.
local function in_doubt()
  return rc('EXISTS', K .. 'doubt') == 1
end

-- What a word about a reservation is answered that is not in force.
local function not_in_force()
  return in_doubt() and IN_DOUBT or STALE_TOKEN
end
