package notice

const childEnv = "BOREALIS_NOTICE_CHILD"

func child() {}
