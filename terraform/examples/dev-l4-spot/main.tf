# A cluster for development: one pool of L4 spot nodes, from zero to five.
module "sie_gke" {
  source = "../../gke"

  project_id   = var.project_id
  region       = var.region
  cluster_name = var.cluster_name

  deployer_service_account = var.deployer_service_account
  create_artifact_registry = var.create_artifact_registry
  authorized_networks      = var.authorized_networks
  # Without networks of one's own `kubectl` comes from anywhere; its credentials still decide.
  allow_public_api_server = length(var.authorized_networks) == 0
  deletion_protection     = false

  gpu_node_pools = var.gpu_node_pools
}
