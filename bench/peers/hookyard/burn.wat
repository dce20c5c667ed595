;; A handler that never ends: it is stopped at its limit of CPU time.
(module
  (memory (export "memory") 1)
  (func (export "_start") (loop $for_ever (br $for_ever))))
